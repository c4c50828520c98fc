"""Subcommands that measure a model: evaluate, tune."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch_train.cli.flags import CLASSES_FLAG, MODEL_FLAG, make_folder, opened_data

if TYPE_CHECKING:
    from stripwatch_train.data.samples import DataSet, Sample
    from stripwatch_train.evaluation.evaluate import Scores
    from stripwatch_train.evaluation.metrics import Metrics

REPORT_FOLDER = "evaluation"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_evaluate(commands)
    _add_tune(commands)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on labelled frames",
        description="Measure a model on labelled frames, as it will run on the line, and write a "
        "page of figures and plots. In a training run, each fold is measured by the models not "
        "trained on it; with --data, all its models together are measured on other frames.",
    )
    parser.add_argument("model", **MODEL_FLAG)
    _add_data_flags(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"for the page (default: {REPORT_FOLDER}; of a run on its own folds, inside it)",
    )
    parser.set_defaults(command=_evaluate)


def _add_tune(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "tune",
        help="choose thresholds and minimum areas on validation frames",
        description="Choose the threshold and the minimum area of each class that give the best "
        "mean Dice on frames that the models were not trained on, and write them into model.json. "
        "Gates and classifiers stay as they are.",
    )
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="folder of a training run; or .onnx or .toml with --data, --folds and --fold",
    )
    _add_data_flags(parser)
    parser.set_defaults(command=_tune)


def _add_data_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="labelled frames: folder, or .json file of COCO")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument("--folds", type=Path, metavar="FILE", help="of stripwatch-train folds")
    parser.add_argument("--fold", type=int, metavar="N", help="only the frames of this fold")


def _evaluate(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.figures.page import write_report
    from stripwatch_train.evaluation.metrics import measure
    from stripwatch_train.evaluation.sweep import sweep_all
    from stripwatch_train.runs.run_folder import is_run

    out_of_fold = is_run(args.model) and not args.data
    output = args.output or (args.model / REPORT_FOLDER if out_of_fold else Path(REPORT_FOLDER))
    make_folder(output)
    with ProgressBar() as progress:
        scores, source = _measured_run(args, progress) if out_of_fold else _measured(args, progress)
    metrics = measure(scores)
    folds = sorted(set(scores.folds))
    by = f" Folds {', '.join(map(str, folds))}, each by the models not trained on it."
    lead = f"{args.model} on {metrics.frames} frames of {source}.{by if out_of_fold else ''}"
    page = write_report(output, scores, metrics, sweep_all(scores), "Evaluation", lead)
    plain_console().print(_figures(metrics))
    sys.stdout.write(
        f"Kaggle's mean Dice {metrics.kaggle_dice:.4f} (finding nothing: "
        f"{metrics.kaggle_dice_of_nothing:.4f}), mIoU {metrics.miou:.4f}, {metrics.frames} frames\n"
        f"{page}\n"
    )
    return ExitCode.OK


def _tune(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.evaluate import evaluate_run
    from stripwatch_train.evaluation.tune import tune, write_cards
    from stripwatch_train.runs.run_folder import is_run
    from stripwatch_train.runs.run_models import segmenters_of

    in_run = is_run(args.model)
    _check_tunable(args, in_run=in_run)
    with ProgressBar() as progress:
        if in_run:
            _, scores = evaluate_run(args.model, progress.show, same_limits=True)
        else:
            scores, _ = _measured(args, progress, only_new=True)
    tuned = tune(scores)
    cards = write_cards(segmenters_of(args.model), tuned.sweeps)
    table = Table("class", "threshold", "minimum area, px", "mean Dice")
    for swept in tuned.sweeps:
        own, best = swept.own, swept.best
        table.add_row(
            swept.name,
            f"{own.threshold:g} -> {best.threshold:g}",
            f"{own.min_area_px} -> {best.min_area_px}",
            f"{own.dice:.4f} -> {best.dice:.4f}",
        )
    plain_console().print(table)
    sys.stdout.write(
        f"mean Dice of {len(scores.names)} validation frames: {tuned.before:.4f} before, "
        f"{tuned.after:.4f} after\n"
    )
    if tuned.elsewhere is not None:
        sys.stdout.write(
            f"each fold with the settings that are best on the others, as on new frames: "
            f"{tuned.elsewhere:.4f}\n"
        )
    sys.stdout.write("".join(f"{card}\n" for card in cards))
    return ExitCode.OK


def _check_tunable(args: argparse.Namespace, *, in_run: bool) -> None:
    given = [name for name in ("data", "folds", "fold") if getattr(args, name) is not None]
    if in_run and given:
        raise ConfigError(
            f"{args.model}: a training run is tuned on its own validation folds; leave out "
            f"{', '.join(f'--{name}' for name in given)}"
        )
    if not in_run and args.model.is_dir():
        raise ConfigError(
            f"{args.model}: an engine cannot be tuned, its thresholds come from its models' cards; "
            "tune the models and build it again"
        )
    if not in_run and len(given) < 3:
        raise ConfigError(
            f"{args.model}: name the frames that its training left out, with --data, --folds and "
            "--fold: thresholds chosen on frames that a model was trained on are too optimistic"
        )


def _measured_run(args: argparse.Namespace, progress: ProgressBar) -> tuple[Scores, str]:
    """Scores of a run on its own data, and the name of the data."""
    from stripwatch_train.evaluation.evaluate import evaluate_run

    for name in ("folds", "fold", "classes"):
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name}: {args.model} brings its own {name}; leave it out")
    data_set, scores = evaluate_run(args.model, progress.show)
    return scores, data_set.source


def _measured(
    args: argparse.Namespace, progress: ProgressBar, *, only_new: bool = False
) -> tuple[Scores, str]:
    """Scores of a model on the frames that the flags select, and their name."""
    from stripwatch_train.evaluation.evaluate import evaluate
    from stripwatch_train.evaluation.predictor import open_predictor
    from stripwatch_train.runs.run_models import training_overlap

    if not args.data:
        raise ConfigError(f"{args.model}: name labelled frames with --data")
    data_set = opened_data(args.data, args)
    samples, source = _of_fold(args, data_set)
    overlap = training_overlap(args.model, [sample.name for sample in samples])
    if overlap:
        words = (
            f"{args.model}: was trained on {len(overlap)} of these {len(samples)} frames, by their "
            f"names (the first: {overlap[0]})"
        )
        if only_new:
            raise ConfigError(f"{words}; tune the folder of its training run, or name other frames")
        sys.stderr.write(f"{words}; on new frames expect lower figures\n")
    with open_predictor(args.model) as predictor:
        return evaluate(predictor, samples, data_set.classes, progress=progress.show), source


def _of_fold(args: argparse.Namespace, data_set: DataSet) -> tuple[tuple[Sample, ...], str]:
    from stripwatch_train.data.folds import load_folds

    if (args.folds is None) != (args.fold is None):
        raise ConfigError("--folds and --fold go together; give both or none")
    if args.folds is None:
        return data_set.samples, data_set.source
    folds, fold_of = load_folds(args.folds, data_set)
    if not 0 <= args.fold < folds.folds:
        raise ConfigError(f"--fold {args.fold}: {args.folds} has the folds 0 to {folds.folds - 1}")
    pairs = zip(data_set.samples, fold_of.tolist(), strict=True)
    chosen = tuple(sample for sample, fold in pairs if fold == args.fold)
    return chosen, f"fold {args.fold} of {data_set.source}"


def _figures(metrics: Metrics) -> Table:
    """Narrow enough for a terminal of 80 columns."""
    from stripwatch_train.evaluation.figures.page import number

    heads = ("class", "Kaggle", "floor", "Dice", "IoU", "recall", "precision", "AUC")
    caption = (
        "Kaggle: mean Dice over all frames; floor: of finding nothing; Dice: over frames that have "
        "the class; recall and precision: of defects; AUC: of frames"
    )
    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    for entry in metrics.classes:
        figures = (
            *(entry.kaggle_dice, entry.kaggle_dice_of_nothing, entry.dice_of_frames_with),
            *(entry.iou_px, entry.recall, entry.precision, entry.auc_peak),
        )
        table.add_row(entry.name, *map(number, figures))
    return table
