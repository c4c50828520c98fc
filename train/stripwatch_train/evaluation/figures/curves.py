"""Curves of a run's training: loss and score of each model by epoch."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stripwatch_train.evaluation.figures.plots import BLACK, BLUE, MUTED, VERMILION, pair_of_axes
from stripwatch_train.fitting.checkpoints import CURVE, best_row
from stripwatch_train.page import Picture, picture_of
from stripwatch_train.runs.run_folder import load_run

MODELS_MAX = 12  # that are drawn, of an ensemble the first


def run_curves(folder: Path) -> list[Picture]:
    """A picture for each trained model of a run.

    Raises:
        ConfigError: run.json cannot be read.
    """
    pictures: list[Picture] = []
    for entry in load_run(folder).members:
        rows = curve_of(folder / entry.name / CURVE)
        if rows and len(pictures) < MODELS_MAX:
            pictures.append(_plot(entry.name, rows))
    return pictures


def curve_of(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; none where it is missing or was cut."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError):
        return []


def _plot(name: str, rows: list[dict[str, float]]) -> Picture:
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, right = pair_of_axes(figure)
    epochs = [row["epoch"] + 1 for row in rows]
    for axes, keys in ((left, ("loss", "validation_loss")), (right, ("score",))):
        for key, colour, style in zip(keys, (BLUE, VERMILION), ("-", "--"), strict=False):
            values = [row.get(key, float("nan")) for row in rows]
            axes.plot(epochs, values, style, color=colour, marker=".", label=key.replace("_", " "))
        axes.axvline(best_row(rows)["epoch"] + 1, color=MUTED, linewidth=1, label="exported")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    for key in rows[-1]:
        if key.startswith("dice."):
            values = [row.get(key, float("nan")) for row in rows]
            right.plot(epochs, values, color=BLACK, alpha=0.25, linewidth=0.8)
    left.set_title("loss")
    right.set_title("score, and the Dice of each class in grey")
    return picture_of(f"training-{name}", figure, name)
