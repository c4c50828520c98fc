"""Overlays: colour on the masks, grey elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stripwatch.view.overlay import draw_overlay
from stripwatch.wire.event import Defect

MakeDefect = Callable[..., Defect]
SHAPE = (32, 64)


def test_colour_is_drawn_on_the_mask_and_the_rest_is_left_grey(make_defect: MakeDefect) -> None:
    """Label and box are drawn too; far from them nothing changes."""
    pixels = np.full(SHAPE, 90, np.uint8)
    overlay = draw_overlay(pixels, [make_defect()])
    assert overlay.shape == (*SHAPE, 3)
    colour = np.ptp(overlay.astype(int), axis=2)
    assert (colour[8:12, 20:30] > 0).all()
    assert (overlay[31] == 90).all()
    assert (draw_overlay(pixels, []) == 90).all()
