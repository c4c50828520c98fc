"""Subcommands that make or divide data sets: collect, convert, synthesize, folds."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from pathlib import Path

from stripwatch.errors import ExitCode
from stripwatch.service.console import ProgressBar
from stripwatch_engine.cli.flags import parse_shape
from stripwatch_train.cli.flags import (
    CLASSES_FLAG,
    JSON_HELP,
    check_new,
    check_outside,
    class_names,
    opened_data,
    print_json,
    print_table,
)
from stripwatch_train.data.synthesize import (
    DEFECTS_PER_1000_LINES,
    FRAME_SHAPE,
    FRAMES_PER_STRIP,
    TRAINING_SEEDS,
    synthesize,
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_collect(commands)
    _add_convert(commands)
    _add_synthesize(commands)
    _add_folds(commands)


def _add_collect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "collect",
        help="make a data set from a recorded strip and its events",
        description="Write the inspected frames of a recording, and the defects that were found "
        "in them, as images and COCO labels. Frames without defects are clean frames.",
    )
    parser.add_argument("recording", type=Path, help="file of stripwatch record")
    parser.add_argument(
        "--events",
        type=Path,
        help="JSON lines of stripwatch replay --write-events or of stripwatch events --json",
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FOLDER",
        help="in place of --events, the journal of the daemon that inspected these frames while "
        "they were recorded: what operators judged on the page is taken over",
    )
    parser.add_argument(
        "--only-judged",
        action="store_true",
        help="with --journal, leave out frames with a defect that no operator judged",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        help="JSON lines whose defects replace all defects of the events: the same file, corrected "
        "by hand",
    )
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument(
        "--clean-every",
        type=int,
        default=1,
        metavar="N",
        help="write every N-th clean frame; most frames are clean (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_collect)


def _add_convert(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "convert",
        help="write any data set as images and COCO labels",
        description="Write a data set in any layout that can be read as images and COCO labels, "
        "for example for a labelling tool.",
    )
    parser.add_argument("source", type=Path, help="folder, or .json file of COCO")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument(
        "--frame",
        metavar="LINESxPIXELS",
        help="make all images frames of this size: larger ones are cut, smaller ones padded with "
        "black below and right",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.set_defaults(command=_convert)


def _add_synthesize(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "synthesize",
        help="write frames of the synthetic strip as a data set",
        description="Write frames of synthetic strips and their masks as images and COCO labels. "
        f"Every {FRAMES_PER_STRIP} frames another strip begins, with other light and texture.",
    )
    parser.add_argument("--frames", type=int, required=True, metavar="N")
    parser.add_argument(
        "--seed",
        type=int,
        default=TRAINING_SEEDS,
        help="seed of the first strip; the next strip has the next seed. Seeds from "
        f"{TRAINING_SEEDS} on are for training, those below for evaluation; a model must not see "
        "both (default: %(default)s)",
    )
    parser.add_argument(
        "--frame",
        default="{}x{}".format(*FRAME_SHAPE),
        metavar="LINESxPIXELS",
        help="lines and pixels of a frame (default: %(default)s)",
    )
    parser.add_argument(
        "--defects-per-1000-lines",
        type=float,
        default=DEFECTS_PER_1000_LINES,
        metavar="D",
        help="on average (default: %(default)g, which leaves about a third of the frames clean)",
    )
    parser.add_argument(
        "--varied",
        type=float,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help="of the strips, 0 to 1, show in each frame other steel, as real strip does: light, "
        "grain, streaks, scale, rolled patterns, oil, water, paint, shadows, edges, blur, noise "
        "(default: 0; without a number: 1)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.set_defaults(command=_synthesize)


def _add_folds(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "folds",
        help="divide a data set into folds for cross-validation",
        description="Divide frames into folds: near-duplicates stay together, and every fold has "
        "its share of every class.",
    )
    parser.add_argument("data", type=Path, help="folder, or .json file of COCO")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument(
        "--folds", type=int, default=5, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="decides between equal groups (default: %(default)s)"
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="DATA",
        help="data set from before it was labelled, which has the strip of each frame; labelling "
        "tools drop it",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("folds.json"), metavar="FILE")
    parser.add_argument(
        "--split-copies",
        action="store_true",
        help="allow near-duplicates in different folds: scores then measure memory, too, as many "
        "published ones do",
    )
    parser.add_argument("--force", action="store_true", help="replace the file where it exists")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_folds)


def _collect(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.data.collect import collect

    with ProgressBar() as progress:
        done = collect(
            args.recording,
            args.events,
            args.output,
            journal=args.journal,
            corrections=args.corrections,
            only_judged=args.only_judged,
            classes=class_names(args) or (),
            clean_every=args.clean_every,
            progress=progress.show,
        )
    counts = {name: value for name, value in dataclasses.asdict(done).items() if name != "remark"}
    if args.json:
        print_json(counts)
    else:
        rows = ((name.replace("_", " "), str(value)) for name, value in counts.items())
        print_table(("frames", "number"), rows)
    if done.remark:
        sys.stderr.write(f"{args.recording}: {done.remark}\n")
    return ExitCode.OK


def _convert(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.data.data_set import convert

    shape = parse_shape("--frame", args.frame) if args.frame else None
    check_outside(args.output, args.source)
    data_set = opened_data(args.source, args)
    with ProgressBar() as progress:
        frames = convert(data_set, args.output, progress.show, shape)
    sys.stdout.write(f"{args.output}: {frames} frames\n")
    return ExitCode.OK


def _synthesize(args: argparse.Namespace) -> ExitCode:
    with ProgressBar() as progress:
        strips = synthesize(
            args.output,
            args.frames,
            seed=args.seed,
            frame_shape=parse_shape("--frame", args.frame),
            defects_per_1000_lines=args.defects_per_1000_lines,
            varied=args.varied,
            progress=progress.show,
        )
    last = args.seed + strips - 1
    sys.stdout.write(
        f"{args.output}: {args.frames} frames of {strips} strips, seeds {args.seed} to {last}\n"
    )
    return ExitCode.OK


def _folds(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.data.data_set import open_data_set, with_groups
    from stripwatch_train.data.folds import fold_rows, make_folds, save_folds

    check_new(args.output, force=args.force)
    data_set = opened_data(args.data, args)
    if args.groups:
        data_set = with_groups(data_set, open_data_set(args.groups))
    with ProgressBar() as progress:
        folds = make_folds(
            data_set,
            args.folds,
            args.seed,
            split_copies=args.split_copies,
            progress=progress.show,
        )
        rows = fold_rows(data_set, folds)
    save_folds(args.output, folds)
    heads = ("fold", "frames", "clean", *(entry.name for entry in data_set.classes))
    if args.json:
        table = [dict(zip(heads, row, strict=True)) for row in rows]
        print_json({"file": str(args.output), "folds": table})
        return ExitCode.OK
    print_table(heads, (tuple(map(str, row)) for row in rows))
    sizes = Counter(folds.group_of.values())
    what = "belong together" if args.split_copies else "are near-duplicates or belong together"
    sys.stdout.write(
        f"{len(folds.group_of)} of {len(folds.fold_of)} frames {what}, in "
        f"{len(sizes)} groups; the largest has {max(sizes.values(), default=0)}\n"
        f"{args.output}: {folds.folds} folds written\n"
    )
    return ExitCode.OK
