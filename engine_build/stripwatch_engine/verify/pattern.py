"""A test pattern: frames for models that come without frames of their own (ADR 15)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import Frames
from stripwatch.synthetic import SyntheticStrip

CELL_SIDES = (3, 7, 15, 31)  # lines and pixels of the squares
NOISE = 4.0  # standard deviation, of 255
DEFECTS_PER_1000_LINES = 20.0


def pattern_frames(shape: tuple[int, int], count: int, seed: int) -> Frames:
    """Frames of every brightness, uint8 [count, lines, pixels]: squares in turn with strip.

    Most models find something of each class in it. That is enough to compare two programs that
    compute the same, and says nothing about defects.
    """
    generator = np.random.default_rng(seed)
    strip = SyntheticStrip(seed, shape, DEFECTS_PER_1000_LINES)
    frames = [
        _squares(generator, shape, CELL_SIDES[index // 2 % len(CELL_SIDES)])
        if index % 2 == 0
        else strip.frame(index).pixels
        for index in range(count)
    ]
    return np.stack(frames)


def _squares(
    generator: np.random.Generator, shape: tuple[int, int], side: int
) -> NDArray[np.uint8]:
    rows, columns = (-(-length // side) for length in shape)
    levels = generator.uniform(0, 255, (rows, columns))
    pixels = levels.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]
    noisy = pixels + generator.normal(0, NOISE, shape)
    return noisy.clip(0, 255).astype(np.uint8)
