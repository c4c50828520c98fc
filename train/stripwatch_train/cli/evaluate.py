"""The subcommand evaluate: measure a model on labelled frames."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch_train.cli.flags import (
    JSON_HELP,
    MODEL_FLAG,
    check_outside,
    make_folder,
    print_json,
)
from stripwatch_train.cli.measure import add_data_flags, check_model, measured, measured_run

if TYPE_CHECKING:
    from stripwatch_train.evaluation.evaluate import Scores
    from stripwatch_train.evaluation.metrics import Metrics

SHOWN, SHOWN_MAX = 8, 100
REPORT_FOLDER = "evaluation"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
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
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"for the page (default: {REPORT_FOLDER}; of a run on its own folds, inside it)",
    )
    parser.add_argument(
        "--shown",
        type=int,
        default=SHOWN,
        metavar="N",
        help="frames to draw of each kind: the worst, ordinary ones, the best (default: "
        "%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_evaluate)


def _evaluate(args: argparse.Namespace) -> ExitCode:
    import stripwatch_train.evaluation.figures.page  # noqa: F401 - before the work: it may be missing
    from stripwatch_train.evaluation.metrics import measure
    from stripwatch_train.runs.run_folder import is_run

    out_of_fold = is_run(args.model) and not args.data
    output = args.output or (args.model / REPORT_FOLDER if out_of_fold else Path(REPORT_FOLDER))
    if not 0 <= args.shown <= SHOWN_MAX:
        raise ConfigError(f"--shown {args.shown}: give 0 to {SHOWN_MAX}")
    check_model(args.model)
    if args.data:
        check_outside(output, args.data)
    make_folder(output)
    with ProgressBar() as progress:
        scores, source = measured_run(args, progress) if out_of_fold else measured(args, progress)
        progress.show("figures", 0, 0)
        metrics = measure(scores)
        lead = _lead(args, scores, source, out_of_fold=out_of_fold)
        page = _write(args, output, scores, metrics, lead, progress)
    if args.json:
        print_json(metrics)
        return ExitCode.OK
    plain_console().print(_figures(metrics))
    sys.stdout.write(
        f"Kaggle's mean Dice {metrics.kaggle_dice:.4f} (finding nothing: "
        f"{metrics.kaggle_dice_of_nothing:.4f}), mIoU {metrics.miou:.4f}, {metrics.frames} frames\n"
        f"{page}\n"
    )
    return ExitCode.OK


def _write(
    args: argparse.Namespace,
    output: Path,
    scores: Scores,
    metrics: Metrics,
    lead: str,
    progress: ProgressBar,
) -> Path:
    """Write the page and its files."""
    from stripwatch_train.evaluation.figures.curves import run_curves
    from stripwatch_train.evaluation.figures.page import write_report
    from stripwatch_train.evaluation.sweep import sweep_all
    from stripwatch_train.runs.run_folder import is_run

    curves = run_curves(args.model) if is_run(args.model) else []
    sweeps = sweep_all(scores)
    return write_report(output, scores, metrics, sweeps, "Evaluation", lead, curves, progress.show)


def _lead(args: argparse.Namespace, scores: Scores, source: str, *, out_of_fold: bool) -> str:
    """First sentence of the page: what was measured on what."""
    folds = ", ".join(map(str, sorted(set(scores.folds))))
    by = f" Folds {folds}, each by the models not trained on it." if out_of_fold else ""
    return f"{args.model} on {len(scores.names)} frames of {source}.{by}"


def _figures(metrics: Metrics) -> Table:
    """Narrow enough for a terminal of 80 columns."""
    from stripwatch_train.evaluation.figures.tables import number

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
