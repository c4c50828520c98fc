"""The frames on which a model is most wrong, with what is true and what was found drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from stripwatch.manifest import DefectClass
from stripwatch.view.overlay import FILL_SHARE
from stripwatch_train.judge import WorstFrame
from stripwatch_train.page import DPI, Picture, picture_of
from stripwatch_train.samples import load_image
from stripwatch_train.scores import Bytes

# Orange and sky blue of Okabe and Ito's palette, which everybody can tell apart on grey; RGB.
TRUE, FOUND = (86, 180, 233), (240, 140, 0)
WIDTH_PX_MIN, WIDTH_PX_MAX = 520, 1500  # of the picture's frame
NAMED_MAX = 6  # pieces that carry their class's name, the largest


def plot_worst(worst: WorstFrame, classes: Sequence[DefectClass], rank: int) -> Picture:
    """One frame: outlines of true and of found masks, filled where only one of them is.

    Raises:
        ConfigError: the image is gone.
    """
    pixels = load_image(worst.sample)
    lines, width = pixels.shape
    shown_px = min(max(width, WIDTH_PX_MIN), WIDTH_PX_MAX)
    size = (shown_px / DPI, shown_px * lines / width / DPI + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    assert isinstance(axes, Axes)
    axes.imshow(_drawn(pixels, worst.truth, worst.found, classes), interpolation="nearest")
    for name, place in _names(worst.truth | worst.found, classes):
        axes.annotate(
            name,
            place,
            (3, 3),
            textcoords="offset points",
            color="white",
            fontsize=8,
            path_effects=[withStroke(linewidth=2, foreground="black")],
            annotation_clip=True,
        )
    axes.set_xlabel("pixel")
    axes.set_ylabel("line")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    caption = (
        f"{worst.sample.name}: mean Dice {worst.dice:.3f}, {worst.wrong_px} px wrong over all "
        "classes"
    )
    return picture_of(f"worst-{rank}", figure, caption)


def _drawn(pixels: Bytes, truth: Bytes, found: Bytes, classes: Sequence[DefectClass]) -> Bytes:
    """RGB uint8 [lines, pixels, 3]."""
    image = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    planes = [
        (truth >> np.uint8(entry.id - 1) & 1, found >> np.uint8(entry.id - 1) & 1)
        for entry in classes
    ]
    for true, there in planes:
        for inside, colour in ((true > there, TRUE), (there > true, FOUND)):
            tint = np.array(colour) * FILL_SHARE
            image[inside] = (image[inside] * (1 - FILL_SHARE) + tint).astype(np.uint8)
    for true, there in planes:
        for mask, colour in ((true, TRUE), (there, FOUND)):
            outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(image, outlines, -1, colour, 1)
    return image


def _names(mask: Bytes, classes: Sequence[DefectClass]) -> list[tuple[str, tuple[int, int]]]:
    """Names of the largest pieces and the upper right corner of their boxes."""
    pieces: list[tuple[int, str, tuple[int, int]]] = []
    for entry in classes:
        plane = np.bitwise_and(mask, np.uint8(1 << (entry.id - 1)))
        _, _, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
        for x, y, width, _, area in stats[1:].tolist():
            pieces.append((area, entry.name, (x + width, y)))
    pieces.sort(key=lambda piece: -piece[0])
    return [(name, place) for _, name, place in pieces[:NAMED_MAX]]


def _legend() -> list[Line2D | Patch]:
    true, found = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in (TRUE, FOUND))
    return [
        Line2D([], [], color=true, label="true"),
        Line2D([], [], color=found, label="found"),
        Patch(color=true, alpha=FILL_SHARE, label="missed"),
        Patch(color=found, alpha=FILL_SHARE, label="found, not true"),
    ]
