"""Pictures of single frames with true and found masks drawn in: the worst, the best, others."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.defects import find_components
from stripwatch.view.overlay import FILL_SHARE
from stripwatch_train.data.images import load_image
from stripwatch_train.evaluation.evaluate import ShownFrame
from stripwatch_train.evaluation.scores import Bytes
from stripwatch_train.page import DPI, Picture, picture_of

# Sky blue and orange, after Okabe and Ito's palette for colour-blind readers; RGB.
TRUE, FOUND = (86, 180, 233), (240, 140, 0)
WIDTH_PX_MIN, WIDTH_PX_MAX = 520, 1500  # of the picture's frame
NAMED_MAX = 6  # components that carry their class's name, the largest
NAME_SHARE = 0.1  # of the part shown: the room that a name needs
ZOOM = 4

Place = tuple[int, int]  # x, y
Named = tuple[str, Place]


def plot_frame(
    shown: ShownFrame, classes: Sequence[DefectClass], rank: int, kind: str = "worst"
) -> Picture:
    """One frame: outlines of true and of found masks, filled where only one of them is.

    A large frame is shown a second time, near the place where most is wrong.

    Raises:
        ConfigError: the image is gone.
    """
    pixels = load_image(shown.sample)
    drawn = _drawn(pixels, shown.truth, shown.found, classes)
    names = _names(shown.truth | shown.found, classes)
    lines, width = pixels.shape
    is_large = width > WIDTH_PX_MIN
    shown_px = min(max(width, WIDTH_PX_MIN), WIDTH_PX_MAX)
    height = shown_px * lines / width / DPI + 0.6
    figure = Figure(figsize=(shown_px / DPI, height * (1 + is_large) + 0.4), layout="constrained")
    whole, *near = figure.subplots(1 + is_large, 1, squeeze=False).ravel().tolist()
    _show(whole, drawn, names, (width, lines))
    for axes in near:
        x, y = _most_wrong(shown.truth ^ shown.found)
        view = (width / ZOOM, lines / ZOOM)
        whole.add_patch(Rectangle((x, y), *view, fill=False, edgecolor="white", linewidth=1))
        inside = [entry for entry in names if _inside(entry[1], (x, y), view)]
        _show(axes, drawn, inside, (x + view[0], y + view[1]), ZOOM)
        axes.set_xlim(x - 0.5, x + view[0] - 0.5)
        axes.set_ylim(y + view[1] - 0.5, y - 0.5)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    caption = (
        f"{rank}. {shown.sample.name}: mean Dice {shown.dice:.3f}, {shown.wrong_px} px wrong over "
        "all classes"
    )
    return picture_of(f"{kind}-{rank}", figure, caption)


def _show(
    axes: Axes,
    drawn: Bytes,
    names: Sequence[Named],
    end: tuple[float, float],
    zoom: int = 1,
) -> None:
    """A part of a frame, up to the pixel and line `end`."""
    axes.imshow(drawn, interpolation="nearest")
    wide, high = (NAME_SHARE * side / zoom for side in (drawn.shape[1], drawn.shape[0]))
    written: list[Place] = []
    for name, place in names:
        if any(abs(place[0] - x) < wide and abs(place[1] - y) < high for x, y in written):
            continue  # it would cover another
        written.append(place)
        near_edge, near_end = place[0] > end[0] - wide, place[1] > end[1] - high
        axes.annotate(
            name,
            place,
            (-4 if near_edge else 4, 4 if near_end else -4),
            textcoords="offset points",
            ha="right" if near_edge else "left",
            va="bottom" if near_end else "top",
            color="white",
            fontsize=9,
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )
    axes.set_xlabel("pixel")
    axes.set_ylabel("line")


def _most_wrong(wrong: Bytes) -> tuple[int, int]:
    """Upper left corner of the part of a frame with the most wrong pixels."""
    lines, width = wrong.shape
    view = (width // ZOOM, lines // ZOOM)
    sums = cv2.boxFilter(
        (wrong > 0).astype(np.float32), -1, view, normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    # Of the places that show as much, the middle; sums of floats up to 2 ** 24 are exact.
    y, x = np.argwhere(sums == sums.max()).mean(axis=0).astype(int).tolist()
    left = min(max(x - view[0] // 2, 0), width - view[0])
    top = min(max(y - view[1] // 2, 0), lines - view[1])
    return left, top


def _inside(place: Place, corner: Place, view: tuple[float, float]) -> bool:
    return all(
        low <= value < low + size for value, low, size in zip(place, corner, view, strict=True)
    )


def _drawn(pixels: Bytes, truth: Bytes, found: Bytes, classes: Sequence[DefectClass]) -> Bytes:
    """RGB uint8 [lines, pixels, 3]."""
    image = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    planes = [
        ((truth & entry.bit) // entry.bit, (found & entry.bit) // entry.bit) for entry in classes
    ]
    for true, there in planes:
        for inside, colour in ((true > there, TRUE), (there > true, FOUND)):
            tint = np.array(colour) * FILL_SHARE
            image[inside] = (image[inside] * (1 - FILL_SHARE) + tint).astype(np.uint8)
    ring = np.ones((3, 3), np.uint8)
    # True ones outside, found ones inside: both are seen where they agree.
    for true, there in planes:
        image[cv2.dilate(true, ring) > true] = TRUE
        image[there > cv2.erode(there, ring, borderValue=0)] = FOUND
    return image


def _names(mask: Bytes, classes: Sequence[DefectClass]) -> list[Named]:
    """Names of the largest components and the upper right corner of their boxes."""
    components: list[tuple[int, str, Place]] = []
    for entry in classes:
        stats = find_components(mask & entry.bit).stats
        for x, y, width, _, area in stats[1:].tolist():
            components.append((area, entry.name, (x + width, y)))
    components.sort(key=lambda component: -component[0])
    return [(name, place) for _, name, place in components[:NAMED_MAX]]


def _legend() -> list[Line2D | Patch]:
    true, found = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in (TRUE, FOUND))
    return [
        Line2D([], [], color=true, label="true"),
        Line2D([], [], color=found, label="found"),
        Patch(color=true, alpha=FILL_SHARE, label="missed"),
        Patch(color=found, alpha=FILL_SHARE, label="found, not true"),
    ]
