"""Section of the page about gates and classifiers: their decisions on whole frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stripwatch_train.evaluation.figures.plots import BLACK, BLUE, MUTED, VERMILION
from stripwatch_train.evaluation.presence import (
    UNSURE,
    PresenceFigures,
    PresenceScores,
    presence_figures,
)
from stripwatch_train.page import Picture, Section, TableOf, picture_of

BINS = 20  # of probabilities
COLUMNS = 2
TEXT = (
    "Below its threshold a gate passes the whole frame as clean, a classifier one class of it. "
    "Sensitivity is the share of the frames with a defect that are reported, specificity that of "
    f"the frames without one that are passed. From {UNSURE[0]:g} to {UNSURE[1]:g} the probability "
    "is inconclusive: such frames deserve a look. stripwatch-train tune --clean-passed chooses "
    "the thresholds."
)
HEAD = (
    *("", "threshold", "true positive", "false negative", "false positive", "true negative"),
    *("sensitivity", "specificity", "accuracy", "AUC", "inconclusive", "of these wrong"),
)


def presence_section(scores: Sequence[PresenceScores]) -> Section:
    """Table and histograms of all gates and classifiers."""
    figures = [(found, entry) for found in scores for entry in presence_figures(found)]
    rows = tuple(_row(entry) for _, entry in figures)
    return Section("Gates and classifiers", TEXT, (TableOf(HEAD, rows),), (_picture(scores),))


def _row(entry: PresenceFigures) -> tuple[str, ...]:
    counts = (
        *(entry.true_positive, entry.false_negative),
        *(entry.false_positive, entry.true_negative),
    )
    shares = (entry.sensitivity, entry.specificity, entry.accuracy, entry.auc)
    return (
        f"{entry.role}: {entry.name}",
        f"{entry.threshold:.4g}",
        *map(str, counts),
        *("-" if share is None else f"{share:.4f}" for share in shares),
        str(entry.inconclusive),
        str(entry.inconclusive_wrong),
    )


def _picture(scores: Sequence[PresenceScores]) -> Picture:
    """Frames with and without a class by their probability."""
    outputs = [(found, index) for found in scores for index in range(len(found.names))]
    columns = min(COLUMNS, len(outputs))
    rows = -(-len(outputs) // columns)
    figure = Figure(figsize=(6.5 * columns, 3.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    edges = np.linspace(0, 1, BINS + 1)
    for axes, (found, index) in zip(grid, outputs, strict=False):
        probability, true = found.column(index)
        for label, values, colour, style in (
            ("without it", probability[~true], BLUE, "-"),
            ("with it", probability[true], VERMILION, "--"),
        ):
            counts = np.histogram(values, edges)[0]
            axes.stairs(counts, edges, color=colour, linestyle=style, label=f"frames {label}")
        axes.axvspan(*UNSURE, color=MUTED, alpha=0.15, label="inconclusive")
        axes.axvline(found.thresholds[index], color=BLACK, linewidth=1, label="threshold")
        axes.set_title(f"{found.role}: {found.names[index]}")
        axes.set_xlabel("probability")
        axes.set_ylabel("frames")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8)
    for axes in grid[len(outputs) :]:
        axes.set_axis_off()
    return picture_of("presence", figure, "Frames with and without a defect by probability")
