"""Sizes of found masks at several thresholds, in frames with and without a class."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.figures.plots import BLACK, BLUE, VERMILION
from stripwatch_train.page import Picture, picture_of

THRESHOLDS = (0.3, 0.5, 0.7, 0.9)  # beside the class's own
BINS = 24


def plot_sizes(table: ClassTable) -> Picture:
    """Histograms of one class: pixels found in each frame, a plot for each threshold."""
    steps = sorted({table.own, *(table.thresholds.index(value) for value in THRESHOLDS)})
    found = [table.sums(step, 0)[0] for step in steps]
    has = table.true_px > 0
    edges = np.geomspace(1, max(10, *(int(px.max(initial=0)) for px in found)) * 1.05, BINS + 1)
    figure = Figure(figsize=(3.2 * len(steps), 2.8), layout="constrained")
    grid = figure.subplots(1, len(steps), squeeze=False, sharey=True).ravel().tolist()
    for axes, step, px in zip(grid, steps, found, strict=True):
        for name, frames, colour, style in (
            ("without it", ~has, BLUE, "-"),
            ("with it", has, VERMILION, "--"),
        ):
            counts = np.histogram(px[frames], edges)[0]
            nothing = int((px[frames] == 0).sum())
            label = f"{name}; nothing in {nothing} of {int(frames.sum())}"
            axes.stairs(counts, edges, color=colour, linestyle=style, label=label)
        if table.entry.min_area_px > 0:
            axes.axvline(table.entry.min_area_px, color=BLACK, linestyle=":", linewidth=1)
        axes.set_xscale("log")
        axes.minorticks_off()
        now = " (now)" if step == table.own else ""
        axes.set_title(f"threshold {table.thresholds[step]:g}{now}", fontsize=10)
        axes.set_xlabel("found in a frame (px)")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=7)
    grid[0].set_ylabel("frames")
    caption = f"{table.entry.name}: frames by pixels found"
    return picture_of(f"sizes-{table.entry.name}", figure, caption)
