"""Images of other sizes as frames of the line: padded, or cut into tiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError

Fit = Literal["exact", "pad", "tile"]
BLACK = 0  # of pixels beside the image; a camera sees the dark beside the strip so


def check_fits(path: Path, shape: tuple[int, int], frame: tuple[int, int], fit: Fit) -> None:
    """Refuse an image that does not become frames this way.

    Args:
        path: of the image, for the error.
        shape: its lines, pixels.
        frame: lines, pixels of a frame.
        fit: `exact`: as wide as a frame, and at most as many lines; `pad`: no wider, nor more
            lines; `tile`: any.

    Raises:
        ConfigError: it does not.
    """
    too_large = shape[0] > frame[0] or shape[1] > frame[1]
    if fit == "tile" or (not too_large and (fit == "pad" or shape[1] == frame[1])):
        return
    ways = "" if too_large else "--fit pad or "
    raise ConfigError(
        f"{path} is {shape[0]} x {shape[1]} (lines x pixels), the frames here are "
        f"{frame[0]} x {frame[1]}; crop or cut the image, leave it out, or replay it with "
        f"{ways}--fit tile"
    )


def tile_count(shape: tuple[int, int], frame: tuple[int, int]) -> int:
    """How many frames an image of `shape` becomes."""
    return -(-shape[0] // frame[0]) * -(-shape[1] // frame[1])


def tiles(pixels: NDArray[np.uint8], frame: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Frames, uint8 [at most frame lines, frame pixels], of an image, uint8 [lines, pixels].

    They come as one reads: from left to right, then down. An image that is no larger than a frame
    becomes one, at its top left. Black is added on the right; missing lines are not, as a frame
    may have fewer.
    """
    lines, width = frame
    for top in range(0, pixels.shape[0], lines):
        for left in range(0, pixels.shape[1], width):
            part = pixels[top : top + lines, left : left + width]
            missing = width - part.shape[1]
            yield np.pad(part, ((0, 0), (0, missing)), constant_values=BLACK) if missing else part
