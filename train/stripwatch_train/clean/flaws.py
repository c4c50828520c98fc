"""Clean frames with flaws painted in: engines are verified on them, as clean frames show nothing.

That a painted flaw is found says that the model works, not how well it finds real defects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stripwatch.synthetic.defects import roll_stamp
from stripwatch.synthetic.roll_marks import Kind

Bytes = NDArray[np.uint8]
Marked = NDArray[np.bool_]
KINDS: tuple[Kind, ...] = get_args(Kind)


def with_flaw(pixels: Bytes, number: int) -> tuple[Bytes, Marked]:
    """A frame with one flaw of the synthetic strip, and where it is.

    Args:
        pixels: uint8 [lines, pixels]; stays as it is.
        number: of the frame; it decides kind, place and shape.
    """
    random = np.random.default_rng(number)
    lines, width = pixels.shape
    stamp = roll_stamp(random, KINDS[number % len(KINDS)], width)
    height, across = stamp.change.shape
    stamp = replace(
        stamp,
        line=int(random.integers(max(1, lines - height + 1))),
        pixel=int(random.integers(width - across + 1)),
        bit=1,
    )
    image, mask = pixels.astype(np.float32), np.zeros(pixels.shape, np.uint8)
    stamp.draw(image, mask, 0)
    return np.clip(image, 0, 255).astype(np.uint8), mask > 0
