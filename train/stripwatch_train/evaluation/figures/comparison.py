"""Page of a comparison: figures side by side, and the frames in which two models differ most."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stripwatch_train.evaluation.comparison import HEAD, Comparison, difference_rows
from stripwatch_train.evaluation.figures.plots import BLUE, MUTED
from stripwatch_train.page import Picture, Section, TableOf, picture_of, write_page

FRAMES_MAX = 20
FRAMES_TEXT = (
    "Each dot is a frame: its mean Dice over the classes, by both models. Above the line the "
    "second is better. The table has the frames that differ most."
)


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write the page; returns its path.

    Raises:
        StorageError: the folder cannot be written.
    """
    first, second = comparison.first.folder, comparison.second.folder
    rows = tuple(
        (frame, f"{one:.4f}", f"{two:.4f}", f"{two - one:+.4f}")
        for frame, one, two in comparison.frames[:FRAMES_MAX]
        if one != two
    )
    head = ("frame", *HEAD[1:])
    sections = [
        Section("Figures", tables=(TableOf(HEAD, tuple(difference_rows(comparison))),)),
        Section("Frames", FRAMES_TEXT, (TableOf(head, rows),), (_scatter(comparison),)),
    ]
    lead = f"First: {first}. Second: {second}. {len(comparison.frames)} frames."
    return write_page(folder, "Comparison", lead, sections)


def _scatter(comparison: Comparison) -> Picture:
    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.subplots()
    assert isinstance(axes, Axes)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    one = [row[1] for row in comparison.frames]
    two = [row[2] for row in comparison.frames]
    axes.scatter(one, two, s=14, color=BLUE, alpha=0.5, linewidths=0)
    axes.set(xlabel="first: mean Dice", ylabel="second: mean Dice", aspect="equal")
    return picture_of("frames", figure, "Mean Dice of each frame")
