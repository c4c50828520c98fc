"""The pictures of an exploration. Figures are made without pyplot, which would keep them all."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from stripwatch.view.overlay import class_colour
from stripwatch.wire.names import class_bit
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.explore.counts import BLACK_MAX, Areas, Exploration, FrameFacts
from stripwatch_train.page import Picture, picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES = 11.0
FRAME_INCHES_MAX = 4.0
LEGEND_INCHES, TITLE_INCHES, GAP_INCHES = 0.25, 0.16, 0.08
LEGEND_ENTRY_INCHES = 2.2  # fits most names
BAR_INCHES = 0.32
AREAS_ROW_INCHES = 1.6
GREY = "#8c959f"
INK = "#1b1f24"
SIDE_PX_MAX = 1600  # of a frame in a picture; larger ones are made smaller first
COLUMNS_MAX = 5
CJK_FIRST = 0x2E80  # Unicode's first letter of Chinese, Japanese and Korean
TITLE_CHARACTERS_PER_INCH = 14
LABEL_CHARACTERS_MAX = 50  # of a bar; the table beside it has the whole
MARKED = ((1, ":"), (5, "--"), (50, "-"))  # percentiles of areas, and how their lines look


def bars_picture(
    name: str, rows: Sequence[tuple[str, int, int]], total: int, caption: str
) -> Picture:
    """A bar for each row: its label, its number of frames, and the class that colours it or 0."""
    figure, (axes,) = _figure(1, BAR_INCHES * len(rows) + 0.6, WIDTH_INCHES * 0.75)
    numbers = [number for _, number, _ in rows]
    axes.barh(range(len(rows)), numbers, color=[_colour(class_id) for _, _, class_id in rows])
    labels = [
        textwrap.shorten(label, LABEL_CHARACTERS_MAX, placeholder=" ...") for label, *_ in rows
    ]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16 * max(numbers))
    axes.set_xlabel("frames")
    for place, number in enumerate(numbers):
        text = f" {number:,}  ({100 * number / total:.1f} %)"
        axes.text(number, place, text, va="center", fontsize=9, color=INK)
    return picture_of(name, figure, caption)


def areas_picture(exploration: Exploration, caption: str) -> Picture:
    """Areas of each class by frame and by component, with percentiles, on one log axis."""
    classes = exploration.data_set.classes
    found = [entry for entry in classes if exploration.with_class(entry.id)]
    largest = max(int(exploration.frame_areas(entry.id).max()) for entry in found)
    bins = np.geomspace(0.8, 1.25 * largest, 61)
    height = AREAS_ROW_INCHES * len(found) + 0.7
    figure = Figure((WIDTH_INCHES, height))
    figure.subplots_adjust(0.05, 0.5 / height, 0.99, 1 - 0.25 / height, wspace=0.12, hspace=0.3)
    grid = figure.subplots(len(found), 2, sharex=True, squeeze=False)
    for row, entry in zip(grid, found, strict=True):
        for axes, areas, what in (
            (row[0], exploration.frame_areas(entry.id), "frames"),
            (row[1], exploration.component_areas(entry.id), "components"),
        ):
            _clean(axes)
            axes.set_xscale("log")
            axes.minorticks_off()  # they take longer to draw than all the rest
            _draw_histogram(axes, areas, bins, _colour(entry.id))
            marked = _mark_percentiles(axes, areas)
            title = f"{entry.name}: {len(areas):,} {what}; {marked}"
            axes.set_title(title, loc="left", fontsize=9)
    grid[-1][0].set_xlabel("pixels of the class in a frame")
    grid[-1][1].set_xlabel("pixels of a connected component")
    return picture_of("areas", figure, caption)


def brightness_picture(exploration: Exploration, caption: str) -> Picture:
    """Brightness of frames, their black share, and the grey levels of all pixels."""
    figure, (means, black, levels) = _figure(3, 2.9)
    frames = exploration.frames
    _draw_histogram(means, [frame.mean for frame in frames], np.linspace(0, 255, 65))
    means.set(xlabel="mean grey level of a frame", ylabel="frames")
    _draw_histogram(black, [100 * frame.black for frame in frames], np.linspace(0, 100, 51))
    black.set(xlabel=f"% of a frame at level {BLACK_MAX} or below", ylabel="frames (log)")
    black.set_yscale("log", nonpositive="clip")
    black.set_ylim(bottom=0.6)
    black.minorticks_off()
    black.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    black.yaxis.set_major_formatter("{x:,.0f}")
    pixels = exploration.pixels
    assert pixels is not None
    share = pixels.histogram / pixels.histogram.sum() * 100
    levels.stairs(share, np.arange(257) - 0.5, fill=True, color=GREY)
    levels.axvline(255 * pixels.mean, color=INK)
    low, high = (255 * (pixels.mean + sign * pixels.std) for sign in (-1, 1))
    levels.axvspan(low, high, color=INK, alpha=0.08)
    levels.set(xlabel="grey level: mean, and std to both sides", ylabel="% of all pixels")
    levels.set_xlim(0, 255)
    levels.set_ylim(bottom=0)
    return picture_of("brightness", figure, caption)


def sizes_picture(exploration: Exploration, caption: str) -> Picture:
    """Lines over pixels of the frames."""
    figure, (axes,) = _figure(1, 3.4, WIDTH_INCHES / 2)
    lines, pixels = zip(*(frame.shape for frame in exploration.frames), strict=True)
    axes.scatter(pixels, lines, s=14, color=INK, alpha=0.35, linewidths=0)
    axes.set(xlabel="pixels", ylabel="lines")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return picture_of("sizes", figure, caption)


def frames_picture(
    name: str,
    frames: Sequence[FrameFacts],
    titles: Sequence[str],
    exploration: Exploration,
    caption: str,
) -> Picture:
    """Frames with their masks outlined in the colours of the classes, which a legend names."""
    ratio = float(np.median([frame.shape[1] / frame.shape[0] for frame in frames]))
    fitting = min(max(round(COLUMNS_MAX / ratio), 1), COLUMNS_MAX)
    rows = -(-len(frames) // fitting)
    columns = -(-len(frames) // rows)
    width = WIDTH_INCHES / max(min(fitting, COLUMNS_MAX - 1), columns)
    texts = [textwrap.wrap(title, int(width * TITLE_CHARACTERS_PER_INCH)) for title in titles]
    shown = sorted({class_id for frame in frames for class_id in frame.combination})
    beside = max(int(width * columns / LEGEND_ENTRY_INCHES), 1)
    # Placed by hand: the layout engines of matplotlib take seconds.
    tops, top = [], LEGEND_INCHES * -(-len(shown) // beside) + GAP_INCHES
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        tops.append(top + TITLE_INCHES * max(map(len, texts[part])))
        heights = [width * frame.shape[0] / frame.shape[1] for frame in frames[part]]
        top = tops[-1] + min(max(heights), FRAME_INCHES_MAX) + GAP_INCHES
    figure = Figure((width * columns, top))
    for index, (frame, text) in enumerate(zip(frames, texts, strict=True)):
        row, column = divmod(index, columns)
        height = min(width * frame.shape[0] / frame.shape[1], FRAME_INCHES_MAX)
        place = (column / columns, 1 - (tops[row] + height) / top)
        axes = figure.add_axes((*place, (1 - GAP_INCHES / width) / columns, height / top))
        axes.set_axis_off()
        axes.set_anchor("NW")
        _draw_frame(axes, frame, len(exploration.data_set.classes))
        # A name with two $ is no formula.
        title = "\n".join(text)
        axes.set_title(title, loc="left", fontsize=8, color=INK, pad=2, parse_math=False)
    if shown:
        handles = [Patch(color=_colour(one), label=exploration.name((one,))) for one in shown]
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0, 1),
            ncols=min(beside, len(shown)),
            frameon=False,
            borderaxespad=0,
        )
    # The font draws boxes for these letters; the page has them.
    undrawn = [title for title in titles if max(map(ord, title), default=0) >= CJK_FIRST]
    return picture_of(name, figure, " ".join((caption, *undrawn)))


def _draw_frame(axes: Axes, frame: FrameFacts, classes: int) -> None:
    pixels = load_image(frame.sample)
    scale = min(1.0, SIDE_PX_MAX / max(frame.shape))
    size = (max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1))
    axes.imshow(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels,
        cmap="gray",
        aspect="equal",
        vmin=0,
        vmax=255,
        extent=(-0.5, frame.shape[1] - 0.5, frame.shape[0] - 0.5, -0.5),
        interpolation="antialiased",
    )
    mask = load_mask(frame.sample, frame.shape)
    for class_id in range(1, classes + 1):
        if frame.components[class_id - 1].size:
            lines = PolyCollection(
                outlines(mask & class_bit(class_id)),
                facecolors="none",
                edgecolors=_colour(class_id),
                linewidths=1.2,
                path_effects=[withStroke(linewidth=2.2, foreground="black", alpha=0.6)],
            )
            axes.add_collection(lines, autolim=False)


def outlines(plane: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Around the pixels of a mask, and around its holes, as x, y of corners."""
    # Twice as large, a contour through the middle of pixels runs along the borders of ours.
    large = cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return [contour[:, 0, :] / 2 - 0.25 for contour in contours]


def _draw_histogram(
    axes: Axes,
    values: Sequence[float] | Areas,
    bins: NDArray[np.float64],
    colour: Any = GREY,  # noqa: ANN401 - see _colour
) -> None:
    axes.stairs(np.histogram(values, bins)[0], bins, fill=True, color=colour)
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_ylim(bottom=0)


def _mark_percentiles(axes: Axes, areas: Areas) -> str:
    """Draw lines at some percentiles; returns what they are, for the title."""
    values = [float(np.percentile(areas, percent)) for percent, _ in MARKED]
    for value, (_, style) in zip(values, MARKED, strict=True):
        axes.axvline(value, color=INK, linestyle=style, linewidth=1)
    return ", ".join(
        f"{percent} %: {value:,.0f}" for value, (percent, _) in zip(values, MARKED, strict=True)
    )


def _figure(
    columns: int, height: float, width: float = WIDTH_INCHES
) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure((width, height), layout="constrained")
    grid: Any = figure.subplots(1, columns, squeeze=False)[0]
    for axes in grid:
        _clean(axes)
    return figure, grid


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _colour(class_id: int) -> Any:  # noqa: ANN401 - matplotlib has no public type for a colour
    if not class_id:
        return GREY
    return tuple(level / 255 for level in class_colour(class_id))
