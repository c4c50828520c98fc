"""An endless strip, cut into frames as a line-scan camera does.

A row of a frame is one scan line across the strip; rows follow each other downweb (the rolling
direction). Every pixel is a pure function of seed, line and pixel, so frames can be asked for in
any order and meet without a seam, and defects run from one frame into the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.synthetic.background import Background
from stripwatch.synthetic.defects import (
    LINES_MAX,
    Defect,
    Scratch,
    Stamp,
    defects_of_block,
    roll_stamp,
)
from stripwatch.synthetic.roll_marks import RollMark

BLOCKS_KEPT = 64  # a frame of 256 lines needs six
_ROLLS = 0x7011  # of the random generators
BLOCK_LINES = 512  # defects are sampled for one block of lines at a time

CLASSES = (
    DefectClass(id=1, name="pits", threshold=0.5, min_area_px=60),
    DefectClass(id=2, name="cracks", threshold=0.5, min_area_px=60),
    DefectClass(id=3, name="scratches", threshold=0.5, min_area_px=100),
    DefectClass(id=4, name="patches", threshold=0.5, min_area_px=300),
)


@dataclass(frozen=True, slots=True)
class SyntheticFrame:
    """One frame and its ground truth."""

    pixels: NDArray[np.uint8]  # [lines, pixels]
    mask: NDArray[np.uint8]  # [lines, pixels]; bit c-1 is set where class c is


class SyntheticStrip:
    """A strip that is determined by its seed."""

    def __init__(
        self,
        seed: int,
        frame_shape: tuple[int, int] = (256, 1600),
        defects_per_1000_lines: float = 2.0,
        roll_marks: Sequence[RollMark] = (),
        scratches: Sequence[Scratch] = (),
    ) -> None:
        """Prepare the strip's textures.

        Args:
            seed: of the random generator; the same seed gives the same strip.
            frame_shape: lines, pixels of a frame. The pixels are the strip's width, the lines
                only where it is cut.
            defects_per_1000_lines: on average; 0 for a clean strip.
            roll_marks: of the rolls that have a flaw.
            scratches: beside those that the seed brings.
        """
        self.seed = seed
        self.frame_shape = frame_shape
        self._background = Background(seed, frame_shape[1])
        self._rate = defects_per_1000_lines * BLOCK_LINES / 1000
        left, right = self._background.usable_pixels
        width = right - left  # of the strip, as far as defects may reach
        self._marks = [
            (mark, roll_stamp(np.random.default_rng([seed, _ROLLS, number]), mark.kind, width))
            for number, mark in enumerate(roll_marks)
        ]
        self._scratches = tuple(scratches)
        self._blocks: dict[int, tuple[Defect, ...]] = {}  # the latest, as drawn

    def frame(self, index: int) -> SyntheticFrame:
        """Frame `index`, which begins at line `index` * lines of a frame."""
        lines, pixels = self.frame_shape
        first = index * lines
        image = self._background.lines(first, lines)
        mask = np.zeros((lines, pixels), np.uint8)
        for defect in self.defects(first, first + lines):
            defect.draw(image, mask, first)
        np.clip(image, 0, 255, out=image)
        return SyntheticFrame(image.astype(np.uint8), mask)

    def defects(self, first: int, end: int) -> Iterator[Defect]:
        """All that is drawn on lines [first, end), harmless marks too, and some beyond them."""
        first_block = max(0, first - LINES_MAX) // BLOCK_LINES
        for block in range(first_block, (end - 1) // BLOCK_LINES + 1):
            yield from self._block(block)
        yield from self._teeth(first, end)
        yield from self._scratches

    def _teeth(self, first: int, end: int) -> Iterator[Stamp]:
        """The teeth of all roll marks that reach into some lines, inside the strip's edges."""
        left, right = self._background.usable_pixels
        for number, (mark, stamp) in enumerate(self._marks):
            height, width = stamp.change.shape
            seed = (self.seed, _ROLLS, number)
            for line, pixel in mark.teeth(seed, first - height, end + height):
                column = min(max(round(pixel - width / 2), left), right - width)
                yield replace(stamp, line=round(line - height / 2), pixel=column)

    def _block(self, block: int) -> tuple[Defect, ...]:
        if block not in self._blocks:
            generator = np.random.default_rng([self.seed, block])
            first = block * BLOCK_LINES
            left, right = self._background.usable_pixels
            drawn = defects_of_block(generator, self._rate, first, BLOCK_LINES, left, right)
            self._blocks[block] = tuple(drawn)
            if len(self._blocks) > BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]  # the oldest
        return self._blocks[block]
