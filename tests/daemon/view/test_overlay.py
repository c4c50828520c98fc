"""Overlays: colour on the masks, grey elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stripwatch.view.overlay import add_caption, draw_overlay
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


@pytest.mark.parametrize("box", [(0, 0, 2**53 - 1, 2**53 - 1), (2**53 - 1, 2**53 - 1, 1, 1)])
def test_a_box_beyond_the_picture_costs_nothing(
    make_defect: MakeDefect, box: tuple[int, int, int, int]
) -> None:
    """A publisher may claim any box; only what lies in the picture is drawn."""
    assert draw_overlay(np.zeros(SHAPE, np.uint8), [make_defect(bbox_px=box)]).shape == (*SHAPE, 3)


def test_a_label_hides_no_other_defect(make_defect: MakeDefect) -> None:
    """Where there is no free place it is left out; box and mask name the class by their colour."""
    small = make_defect(bbox_px=(20, 20, 3, 3), area_px=9, rle="", frame_shape=(1, 1))
    tiny = make_defect(bbox_px=(21, 8, 3, 3), area_px=8, rle="", frame_shape=(1, 1))
    pixels = np.full((32, 200), 90, np.uint8)
    overlay = draw_overlay(pixels, [small, tiny])
    for top in (8, 20):
        assert (overlay[top + 1, 22] == 90).all(), "the inside of a box is hidden"


def test_a_caption_is_added_below_and_hides_nothing() -> None:
    overlay = np.full((64, 200, 3), 90, np.uint8)
    captioned = add_caption(overlay, "coil 7")
    assert (captioned[:64] == overlay).all()
    assert captioned.shape[1:] == (200, 3)
    assert captioned[64:].max() > 200
