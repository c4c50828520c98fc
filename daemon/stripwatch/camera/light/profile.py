"""The brightness across the strip: one frame's profile, and the mean of many."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Profile = NDArray[np.float32]  # [pixels]; NaN where nothing is known
EDGE_PX = 8  # beside the strip's edges, where its border wanders through the pixels
STRIP_SHARE_MIN = 0.05  # of the width; with less there is no strip in the frame


def column_means(frame: NDArray[np.uint8]) -> Profile:
    """The mean grey of every column, float32 [pixels]."""
    return np.asarray(cv2.reduce(frame, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0], np.float32)


def strip_columns(means: Profile, background_grey_max: int) -> tuple[int, int] | None:
    """First, and one past the last, column well inside the strip; None where there is no strip.

    A dark place with steel on both sides counts as inside: there a lamp is out.
    """
    lit = np.flatnonzero(means > background_grey_max)
    if len(lit) == 0:
        return None
    first, end = int(lit[0]), int(lit[-1]) + 1
    # At the frame's own border the strip goes on outside.
    first = first + EDGE_PX if first > 0 else 0
    end = end - EDGE_PX if end < len(means) else end
    return (first, end) if end - first >= STRIP_SHARE_MIN * len(means) else None


@dataclass(frozen=True, slots=True)
class Block:
    """The mean of the frames of some metres of strip."""

    metres: float
    grey: float  # mean over the strip
    shape: Profile  # share of that mean, by column; NaN outside the strip


@dataclass(slots=True)
class BlockSum:
    """Adds up frames; each counts alike in the shape, however bright its steel is."""

    pixels: int
    frames: int = 0
    metres: float = 0.0
    grey: float = 0.0
    shape: NDArray[np.float64] = field(init=False)
    count: NDArray[np.int32] = field(init=False)  # frames in which a column was inside

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.shape = np.zeros(self.pixels)
        self.count = np.zeros(self.pixels, np.int32)

    def add(self, means: Profile, inside: tuple[int, int], metres: float) -> float:
        """Add a frame; its mean grey over the strip comes back."""
        first, end = inside
        of_strip = means[first:end]
        grey = float(of_strip.mean())
        self.frames += 1
        self.metres += metres
        self.grey += grey
        self.shape[first:end] += of_strip / max(grey, 1.0)
        self.count[first:end] += 1
        return grey

    def take(self) -> Block:
        """The mean of what was added, without the columns that were inside less than half."""
        known = self.count * 2 > self.frames
        shape = np.where(known, self.shape / np.maximum(self.count, 1), np.nan)
        block = Block(self.metres, self.grey / self.frames, shape.astype(np.float32))
        self.__post_init__()
        self.frames, self.metres, self.grey = 0, 0.0, 0.0
        return block


def against_neighbours(shape: Profile, half_px: int) -> Profile:
    """A profile as share of the median of `half_px` columns to both sides of each.

    NaN where that is unknown, and beside the ends of what is known: the strip's edges have a
    brightness of their own.
    """
    result = np.full_like(shape, np.nan)
    known = np.flatnonzero(~np.isnan(shape))
    if len(known) == 0:
        return result
    first, end = int(known[0]), int(known[-1]) + 1
    width = 2 * half_px + 1
    if end - first < width:
        return result
    # Columns inside may be unknown: those of a strip that became narrower within the block.
    values = np.interp(np.arange(first, end), known, shape[known]).astype(np.float32)
    # At most some 100 values a median: more of them make it slower, not better.
    windows = np.lib.stride_tricks.sliding_window_view(values, width)[:, :: max(1, width // 100)]
    middle = slice(first + half_px, end - half_px)
    result[middle] = shape[middle] / np.maximum(np.median(windows, axis=1), 1e-3)
    return result
