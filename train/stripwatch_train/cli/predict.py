"""Subcommands that write predictions: predict, submit."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from contextlib import ExitStack
from pathlib import Path

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar
from stripwatch_train.cli.flags import (
    CLASSES_FLAG,
    JSON_HELP,
    MODEL_FLAG,
    check_new,
    check_outside,
    class_names,
    make_folder,
    print_json,
    print_table,
)
from stripwatch_train.cli.measure import check_model

DOUBT_LIMITS = (0.3, 0.8)  # mean probabilities between which a frame is in doubt


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_predict(commands)
    _add_submit(commands)


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "predict",
        help="write the predictions of a model as labels",
        description="Write images and, as COCO labels, the defects that a model finds in them: for "
        "a labelling tool, or to train on.",
    )
    parser.add_argument("model", **MODEL_FLAG)
    parser.add_argument("images", type=Path, help="folder of images, or a data set")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--soft", action="store_true", help="write the probabilities, too, for a student's training"
    )
    parser.add_argument(
        "--confident-only",
        action="store_true",
        help="leave out frames in doubt: with a defect found below the upper of --doubt, or a "
        "place above the lower where none was found",
    )
    parser.add_argument(
        "--doubt",
        type=float,
        nargs=2,
        default=DOUBT_LIMITS,
        metavar=("LOWER", "UPPER"),
        help="mean probabilities (default: {:g} {:g})".format(*DOUBT_LIMITS),
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_predict)


def _add_submit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "submit",
        help="write a submission for Kaggle's Severstal competition",
        description="Write a submission in the layout of a sample_submission.csv, older or newer, "
        "and check it.",
    )
    parser.add_argument("model", **MODEL_FLAG)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--sample", type=Path, required=True, metavar="CSV")
    parser.add_argument("-o", "--output", type=Path, default=Path("submission.csv"), metavar="CSV")
    parser.add_argument("--force", action="store_true", help="replace the file where it exists")
    parser.set_defaults(command=_submit)


def _predict(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.predict import Doubt, images_at, predict
    from stripwatch_train.evaluation.predictor import open_predictor

    lower, upper = args.doubt
    if not 0 < lower <= upper < 1:
        raise ConfigError(f"--doubt {lower:g} {upper:g}: give 0 < LOWER <= UPPER < 1")
    check_model(args.model)
    check_outside(args.output, args.images)
    samples = images_at(args.images, class_names(args))
    with ExitStack() as stack:
        progress = stack.enter_context(ProgressBar())
        progress.show("the model", 0, 0)
        predictor = stack.enter_context(open_predictor(args.model))
        written = predict(
            predictor,
            samples,
            args.output,
            soft=args.soft,
            doubt=Doubt(lower, upper) if args.confident_only else None,
            progress=progress.show,
        )
    if args.json:
        print_json(dataclasses.asdict(written))
        return ExitCode.OK
    rows = [("frames", written.frames), ("of these clean", written.clean)]
    rows += sorted(written.defects.items())
    if args.confident_only:
        rows.append(("frames in doubt, left out", written.doubtful))
    print_table(("", "number"), ((name, str(count)) for name, count in rows))
    if not written.frames:
        sys.stderr.write(
            "all frames are in doubt and were left out: the data set is empty; lower --doubt, or "
            "train the model longer\n"
        )
    return ExitCode.OK


def _submit(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.predictor import open_predictor
    from stripwatch_train.evaluation.submission import read_layout, submit

    layout = read_layout(args.sample)
    check_new(args.output, force=args.force)
    make_folder(args.output.parent)
    check_model(args.model)
    with ExitStack() as stack:
        progress = stack.enter_context(ProgressBar())
        progress.show("the model", 0, 0)
        predictor = stack.enter_context(open_predictor(args.model))
        filled = submit(predictor, args.images, layout, args.output, progress.show)
    sys.stdout.write(
        f"{args.output}: {len(layout.pairs)} rows of {len(layout.images)} images, {filled} with "
        "defects; read back and checked\n"
    )
    return ExitCode.OK
