"""Plot of a sweep over thresholds and minimum areas."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.figures.plots import BLACK, BLUE, MUTED, VERMILION, pair_of_axes
from stripwatch_train.evaluation.statistics import Reals
from stripwatch_train.evaluation.sweep import Sweep
from stripwatch_train.page import Picture, picture_of


def plot_sweep(table: ClassTable, swept: Sweep) -> Picture:
    """One class: mean Dice by threshold and minimum area, and curves over the threshold alone."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = pair_of_axes(figure)
    _heat_map(figure, left, swept)
    _curves(right, table)
    caption = (
        f"{swept.name}: mean Dice over all frames, empty pairs counting 1. Now {swept.own.dice:.4f}"
        f"; best {swept.best.dice:.4f} at threshold {swept.best.threshold:g} and minimum area "
        f"{swept.best.min_area_px} px"
    )
    return picture_of(f"sweep-{swept.name}", figure, caption)


def _heat_map(figure: Figure, axes: Axes, swept: Sweep) -> None:
    image = axes.imshow(swept.dice, origin="lower", aspect="auto", cmap="viridis")
    figure.colorbar(image, ax=axes).set_label("mean Dice")
    axes.set_title(f"{swept.name}: mean Dice")
    axes.set_xlabel("minimum area (px)")
    axes.set_ylabel("threshold")
    axes.set_xticks(range(len(swept.areas_px)), [str(area) for area in swept.areas_px], rotation=60)
    steps = range(0, len(swept.thresholds), 2)
    axes.set_yticks(steps, [f"{swept.thresholds[step]:g}" for step in steps])
    for point, marker, size, label in ((swept.own, "o", 80, "now"), (swept.best, "*", 190, "best")):
        place = swept.areas_px.index(point.min_area_px)
        step = swept.thresholds.index(point.threshold)
        axes.scatter(place, step, s=size, c="white", marker=marker, edgecolors="black", label=label)
    axes.legend(loc="upper right")


def _curves(axes: Axes, table: ClassTable) -> None:
    """Dice, recall and precision over the threshold, at the current minimum area."""
    steps, least = range(len(table.thresholds)), table.entry.min_area_px
    there = table.true_px > 0
    defects = len(table.scores.true_areas(table.index))
    components = [table.found_components(step, least) for step in steps]
    lines: list[tuple[str, str, str, Reals]] = []
    if there.any():
        dice = np.array([table.dice(step, least)[there].mean() for step in steps])
        recall = table.scores.true_found[table.index] / defects
        lines.append(("Dice of frames that have it", BLACK, "-", dice))
        lines.append(("recall of defects", VERMILION, "--", recall))
    precision = np.array([right / found if found else np.nan for found, right in components])
    lines.append(("precision of found components", BLUE, "-.", precision))
    for label, colour, style, values in lines:
        axes.plot(table.thresholds, values, style, color=colour, label=label)
    axes.axvline(table.entry.threshold, color=MUTED, linewidth=1, label="threshold now")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(f"{table.entry.name}: with minimum area {least} px")
    axes.set_xlabel("threshold")
    axes.set_ylabel("share")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", fontsize=9)
