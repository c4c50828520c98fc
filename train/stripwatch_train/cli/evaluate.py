"""The subcommand evaluate: measure a model on labelled frames."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from stripwatch.errors import ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch_train.cli.flags import MODEL_FLAG, make_folder
from stripwatch_train.cli.measure import add_data_flags, check_model, measured, measured_run

if TYPE_CHECKING:
    from stripwatch_train.evaluation.metrics import Metrics

REPORT_FOLDER = "evaluation"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_evaluate(commands)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on labelled frames",
        description="Measure a model on labelled frames, as it will run on the line, and write a "
        "page of figures and plots. In a training run, each fold is measured by the models not "
        "trained on it; with --data, all its models together are measured on other frames.",
    )
    parser.add_argument("model", **MODEL_FLAG)
    add_data_flags(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"for the page (default: {REPORT_FOLDER}; of a run on its own folds, inside it)",
    )
    parser.set_defaults(command=_evaluate)


def _evaluate(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.figures.page import write_report
    from stripwatch_train.evaluation.metrics import measure
    from stripwatch_train.evaluation.sweep import sweep_all
    from stripwatch_train.runs.run_folder import is_run

    out_of_fold = is_run(args.model) and not args.data
    output = args.output or (args.model / REPORT_FOLDER if out_of_fold else Path(REPORT_FOLDER))
    check_model(args.model)
    make_folder(output)
    with ProgressBar() as progress:
        scores, source = measured_run(args, progress) if out_of_fold else measured(args, progress)
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
