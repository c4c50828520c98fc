"""The plots of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from stripwatch.view.overlay import class_colour
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.metrics import BACKGROUND
from stripwatch_train.evaluation.scores import Counts
from stripwatch_train.evaluation.statistics import BINS, Reals, auc, reliability, roc
from stripwatch_train.page import Picture, picture_of

# Of Okabe and Ito's palette; black, blue and vermilion differ in brightness, too.
BLACK, BLUE, VERMILION, MUTED = "#1b1f24", "#0072b2", "#d55e00", "#8c959f"
LINE_STYLES = ("-", "--", "-.", ":")  # beside the colours: classes differ in grey, too
AREA_BINS = 24
_WRONG: dict[str, Any] = {
    "facecolor": VERMILION,
    "hatch": "///",
    "edgecolor": "white",
    "linewidth": 0,
}
DARK_SHARE = 0.55  # cells darker than this have white figures


def plot_roc(tables: Sequence[ClassTable], scores: Scores) -> Picture:
    """ROC of frames with and without a class, and with and without any defect, by two scores."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    has_defect = scores.true_px.sum(axis=1) > 0
    titles = ("by largest probability", "by largest component at the threshold")
    for axes, title, values in zip(
        pair_of_axes(figure),
        titles,
        ([table.peaks for table in tables], [table.largest() for table in tables]),
        strict=True,
    ):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
        for number, (table, value) in enumerate(zip(tables, values, strict=True)):
            colour, style = _style(table.entry.id, number)
            _roc_curve(axes, value, table.true_px > 0, table.entry.name, colour, style)
        _roc_curve(axes, np.max(values, axis=0), has_defect, "any defect", BLACK, "-")
        axes.set_title(f"Frames {title}")
        axes.set_xlabel("share of frames without it that are reported")
        axes.set_ylabel("share of frames with it that are reported")
        axes.set_aspect("equal")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right")
        else:
            axes.text(0.5, 0.4, "no class is in some frames\nand not in others", ha="center")
    return picture_of("roc", figure, "ROC of frames; in brackets the area below the curve")


def plot_reliability(tables: Sequence[ClassTable], scores: Scores) -> Picture:
    """Reliability by pixel: observed frequency over predicted probability."""
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    left, right = pair_of_axes(figure)
    left.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, label="ideal")
    for number, table in enumerate(tables):
        found = reliability(scores.level_px[table.index], scores.level_true_px[table.index])
        colour, style = _style(table.entry.id, number)
        left.plot(
            found.predicted, found.observed, style, color=colour, marker="o", label=table.entry.name
        )
        edges = np.linspace(0, 1, BINS + 1)
        right.stairs(found.px, edges, color=colour, linestyle=style, label=table.entry.name)
    left.set_title("Reliability")
    left.set_xlabel("predicted probability (mean of the bin)")
    left.set_ylabel("share of pixels that are of the class")
    left.legend(loc="upper left")
    right.set_yscale("symlog", linthresh=1)
    right.minorticks_off()
    right.set_ylim(bottom=0)
    right.set_title("Pixels in each bin")
    right.set_xlabel("predicted probability")
    right.set_ylabel("pixels")
    right.legend(loc="upper right")
    caption = "Calibration by pixel: on the diagonal, 80 % means 8 of 10"
    return picture_of("calibration", figure, caption)


def plot_confusion(scores: Scores) -> Picture:
    """Confusion of pixels, in percent of the true class and in percent of the found class."""
    names = [BACKGROUND, *(entry.name for entry in scores.settings.classes)]
    count = len(names)
    figure = Figure(figsize=(2 * (3.0 + 1.0 * count), 2.0 + 0.72 * count), layout="constrained")
    for axes, axis, what in zip(pair_of_axes(figure), (1, 0), ("true", "found"), strict=True):
        sums = scores.confusion.sum(axis=axis, keepdims=True)
        _heat_map(figure, axes, scores, scores.confusion / np.maximum(sums, 1), names, what)
    caption = (
        "Left, each row is 100 % of the pixels of a true class: recall on the diagonal. Right, "
        "each column is 100 % of the pixels found as a class: precision on the diagonal"
    )
    return picture_of("confusion", figure, caption)


def _heat_map(
    figure: Figure, axes: Axes, scores: Scores, share: Reals, names: Sequence[str], what: str
) -> None:
    count = len(names)
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    figure.colorbar(image, ax=axes).set_label(f"% of the {what} class")
    axes.set_title(f"Confusion of pixels, by the {what} class")
    axes.set_xlabel("found")
    axes.set_ylabel("true")
    axes.set_xticks(range(count), names, rotation=30, ha="right")
    axes.set_yticks(range(count), names)
    for true in range(count):
        for found in range(count):
            colour = "white" if share[true, found] > DARK_SHARE else BLACK
            text = _percent(scores.confusion[true, found], share[true, found])
            axes.text(found, true, text, ha="center", va="center", color=colour, fontsize=9)


def plot_areas(tables: Sequence[ClassTable], scores: Scores) -> Picture:
    """Areas of the components of each class: found ones, right and wrong, and true ones."""
    columns = min(2, len(tables))
    rows = -(-len(tables) // columns)
    figure = Figure(figsize=(6.5 * columns, 3.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, table in zip(grid, tables, strict=False):
        right, wrong = table.own_areas()
        true = scores.true_areas(table.index)
        _area_bars(axes, right, wrong, true)
        least = table.entry.min_area_px
        if least > 0:
            axes.axvline(least, color=BLACK, linestyle="--", linewidth=1)
        axes.set_title(table.entry.name)
        axes.set_xlabel("area of a component (px)")
        axes.set_ylabel("components")
    for axes in grid[len(tables) :]:
        axes.set_axis_off()
    figure.legend(handles=_area_legend(), loc="outside lower center", ncols=4, frameon=False)
    caption = "Areas of the components at the current threshold, before the minimum area is applied"
    return picture_of("areas", figure, caption)


def _style(class_id: int, number: int) -> tuple[tuple[float, ...], str]:
    colour = tuple(channel / 255 for channel in class_colour(class_id))
    return colour, LINE_STYLES[number % len(LINE_STYLES)]


def _roc_curve(
    axes: Axes,
    values: Counts,
    there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    name: str,
    colour: str | tuple[float, ...],
    style: str,
) -> None:
    curve = roc(values, there)
    if curve is not None:
        label = f"{name} ({auc(curve):.3f})"
        axes.plot(curve.false, curve.true, style, color=colour, label=label)


def _area_bars(axes: Axes, right: Counts, wrong: Counts, true: Counts) -> None:
    largest = max(10, *(int(areas.max(initial=0)) for areas in (right, wrong, true)))
    edges = np.geomspace(1, largest * 1.05, AREA_BINS + 1)
    counts = [np.histogram(areas, edges)[0] for areas in (right, wrong, true)]
    widths = np.diff(edges)
    axes.bar(edges[:-1], counts[0], widths, align="edge", color=BLUE)
    axes.bar(edges[:-1], counts[1], widths, counts[0], align="edge", **_WRONG)
    axes.stairs(counts[2], edges, color=BLACK, linewidth=1.4)
    axes.set_xscale("log")
    axes.minorticks_off()  # hundreds of them take a second to draw
    axes.set_ylim(0, 1.08 * max(1, int(np.max([counts[0] + counts[1], counts[2]]))))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _area_legend() -> list[Line2D | Patch]:
    return [
        Patch(color=BLUE, label="found, right"),
        Patch(label="found, wrong", **_WRONG),
        Line2D([], [], color=BLACK, linewidth=1.4, label="true"),
        Line2D([], [], color=BLACK, linewidth=1, linestyle="--", label="current minimum area"),
    ]


def _percent(px: int, share: float) -> str:
    """A short percentage that shows 0 only for no pixels at all."""
    if px == 0:
        return "0"
    return "< 0.01 %" if share < 0.0001 else f"{100 * share:.2f} %"


def pair_of_axes(figure: Figure) -> tuple[Axes, Axes]:
    """Two axes side by side."""
    left, right = figure.subplots(1, 2)
    assert isinstance(left, Axes)
    assert isinstance(right, Axes)
    return left, right
