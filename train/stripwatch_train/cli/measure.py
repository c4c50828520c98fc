"""Scores of a model on the frames that the flags of evaluate and tune select."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stripwatch.errors import ConfigError
from stripwatch.service.console import ProgressBar
from stripwatch_train.cli.flags import CLASSES_FLAG, opened_data

if TYPE_CHECKING:
    from stripwatch_train.data.samples import DataSet, Sample
    from stripwatch_train.evaluation.evaluate import Scores


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select frames."""
    parser.add_argument("--data", type=Path, help="labelled frames: folder, or .json file of COCO")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument("--folds", type=Path, metavar="FILE", help="of stripwatch-train folds")
    parser.add_argument("--fold", type=int, metavar="N", help="only the frames of this fold")


def measured_run(args: argparse.Namespace, progress: ProgressBar) -> tuple[Scores, str]:
    """Scores of a run on its own data, and the name of the data."""
    from stripwatch_train.evaluation.evaluate import evaluate_run

    for name in ("folds", "fold", "classes"):
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name}: {args.model} brings its own {name}; leave it out")
    data_set, scores = evaluate_run(args.model, progress.show, shown=args.shown)
    return scores, data_set.source


def measured(
    args: argparse.Namespace, progress: ProgressBar, *, only_new: bool = False
) -> tuple[Scores, str]:
    """Scores of a model on the frames that the flags select, and their name."""
    from stripwatch_train.evaluation.evaluate import evaluate
    from stripwatch_train.evaluation.predictor import open_predictor
    from stripwatch_train.runs.run_models import training_overlap

    check_model(args.model)
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
    progress.show("the model", 0, 0)
    with open_predictor(args.model) as predictor:
        shown = getattr(args, "shown", 0)  # tune shows none
        scores = evaluate(predictor, samples, data_set.classes, shown=shown, progress=progress.show)
        return scores, source


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


def check_model(path: Path) -> None:
    """Refuse a path at which there is nothing.

    Raises:
        ConfigError: it does not exist.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; name a model, an engine or a training run")
