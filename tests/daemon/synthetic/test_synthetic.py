"""The synthetic strip: a pure function of seed and line, seamless, with exact masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.synthetic import CLASSES, RollMark, SyntheticStrip, straight_scratch
from stripwatch.synthetic.defects import SCRATCH_LINES_MIN

SHAPE = (64, 320)
RATE = 20.0  # many defects, so that few lines hold every kind
SOFT_PIXELS = 13  # a defect fades out over up to half of this beyond its mask


def lines_of(strip: SyntheticStrip, frames: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels and mask of the first frames, one below the other."""
    cut = [strip.frame(index) for index in range(frames)]
    return np.vstack([frame.pixels for frame in cut]), np.vstack([frame.mask for frame in cut])


def test_a_frame_has_the_shape_and_types_that_were_asked_for() -> None:
    for shape in ((64, 160), (7, 1600), (256, 33), (1, 64)):
        frame = SyntheticStrip(1, shape, RATE).frame(3)
        for image in (frame.pixels, frame.mask):
            assert image.shape == shape
            assert image.dtype == np.uint8


def test_the_same_seed_and_index_give_the_same_frame_in_any_order() -> None:
    forth, back = SyntheticStrip(7, SHAPE, RATE), SyntheticStrip(7, SHAPE, RATE)
    indices = [0, 1, 40, 5000, 3]
    first = {index: forth.frame(index) for index in indices}
    for index in reversed(indices):
        again = back.frame(index)
        np.testing.assert_array_equal(first[index].pixels, again.pixels)
        np.testing.assert_array_equal(first[index].mask, again.mask)


def test_writing_into_a_frame_does_not_change_the_strip() -> None:
    strip = SyntheticStrip(7, SHAPE, RATE)
    frame = strip.frame(2)
    kept = frame.pixels.copy()
    frame.pixels[:] = 0
    frame.mask[:] = 255
    np.testing.assert_array_equal(kept, strip.frame(2).pixels)
    assert strip.frame(2).mask.max() < 1 << len(CLASSES)


def test_other_seeds_are_other_strips() -> None:
    one, other = SyntheticStrip(1, SHAPE).frame(0), SyntheticStrip(2, SHAPE).frame(0)
    assert np.mean(one.pixels != other.pixels) > 0.5


@pytest.mark.parametrize("lines", [1, 37, 128, 1024])
def test_where_the_strip_is_cut_does_not_change_it(lines: int) -> None:
    pixels, mask = lines_of(SyntheticStrip(3, SHAPE, RATE), 16)
    frames = 1024 // lines
    cut_pixels, cut_mask = lines_of(SyntheticStrip(3, (lines, SHAPE[1]), RATE), frames)
    np.testing.assert_array_equal(pixels[: lines * frames], cut_pixels)
    np.testing.assert_array_equal(mask[: lines * frames], cut_mask)


def test_every_class_occurs_and_no_other_bit_is_set() -> None:
    _, mask = lines_of(SyntheticStrip(5, (256, 1600), 6.0), 40)
    seen = int(np.bitwise_or.reduce(mask, axis=None))
    assert [entry.id for entry in CLASSES] == [1, 2, 3, 4]
    assert seen == 0b1111


def test_clean_frames_lie_between_defective_ones() -> None:
    strip = SyntheticStrip(5)
    kinds = [
        sum(bool((frame.mask >> (entry.id - 1) & 1).any()) for entry in CLASSES)
        for frame in (strip.frame(index) for index in range(100))
    ]
    assert kinds.count(0) > 20
    assert kinds.count(1) > 20
    assert sum(count > 1 for count in kinds) > 5


def test_a_rate_of_zero_is_a_clean_strip() -> None:
    _, mask = lines_of(SyntheticStrip(5, SHAPE, 0.0), 40)
    assert not mask.any()


def test_a_scratch_runs_over_many_frames() -> None:
    lines = 32
    _, mask = lines_of(SyntheticStrip(5, (lines, 1600)), 400)
    marked = np.flatnonzero((mask & 4).any(axis=1))
    longest = max(len(run) for run in np.split(marked, np.flatnonzero(np.diff(marked) > 1) + 1))
    assert longest >= SCRATCH_LINES_MIN
    assert longest > 8 * lines


def test_a_defect_changes_what_its_mask_says_and_nothing_far_from_it() -> None:
    clean, _ = lines_of(SyntheticStrip(9, (256, 1600), 0.0), 12)
    pixels, mask = lines_of(SyntheticStrip(9, (256, 1600), RATE), 12)
    differs = clean != pixels
    assert np.mean(differs[mask > 0]) > 0.99
    border = cv2.dilate((mask > 0).astype(np.uint8), np.ones((SOFT_PIXELS, SOFT_PIXELS), np.uint8))
    inner = slice(SOFT_PIXELS, -SOFT_PIXELS)  # the lines beyond may hold what casts the border
    assert not differs[inner][border[inner] == 0].any()


def test_masks_stay_on_the_strip() -> None:
    pixels, mask = lines_of(SyntheticStrip(11, (256, 1600), RATE), 40)
    assert not mask[:, :20].any()
    assert not mask[:, -20:].any()
    assert pixels[:, :10].max() < 30  # dark beyond the edges
    assert pixels[:, 400:1200].mean() > 50


def test_a_roll_prints_the_same_mark_at_each_turn() -> None:
    """Where it says, whatever frames are asked for, and as dark each time."""
    mark = RollMark(period_lines=210.0, pixel=800.0, first_line=100.0, end_line=1500.0)
    plain, marked = (
        lines_of(SyntheticStrip(4, (64, 1600), 0.0, roll_marks=marks), 32) for marks in ((), [mark])
    )
    changed = np.flatnonzero((plain[1] != marked[1]).any(axis=1))
    teeth = np.split(changed, np.flatnonzero(np.diff(changed) > 50) + 1)
    firsts = np.array([tooth[0] for tooth in teeth])
    assert len(teeth) == 7
    np.testing.assert_array_equal(np.diff(firsts), 210)
    first, second = (marked[1][firsts[turn] : firsts[turn] + 40] for turn in (0, 1))
    np.testing.assert_array_equal(first, second)
    again = SyntheticStrip(4, (64, 1600), 0.0, roll_marks=[mark]).frame(9)
    np.testing.assert_array_equal(again.pixels, marked[0][9 * 64 : 10 * 64])


def test_a_scratch_is_where_it_is_asked_for_over_many_frames() -> None:
    """One component of its class, longer than any that the seed brings."""
    scratch = straight_scratch(line=100, lines=3000, pixel=700.0)
    _, mask = lines_of(SyntheticStrip(4, (64, 1600), 0.0, scratches=[scratch]), 60)
    lines, pixels = np.nonzero(mask)
    assert (lines.min(), lines.max()) == (100, 3099)
    assert 690 < pixels.min() < pixels.max() < 710
    assert cv2.connectedComponents(mask)[0] == 2
    assert set(np.unique(mask)) == {0, 4}


def test_teeth_fade_jitter_and_slip_as_they_are_told() -> None:
    print("seed", 6)
    mark = RollMark(1885.0, 400.0, visible=0.6, jitter_lines=1.0, jitter_pixels=2.0)
    teeth = np.array(list(mark.teeth((6,), 0, 4e6)))
    turns = np.round(teeth[:, 0] / 1885)
    assert abs(len(teeth) / (4e6 / 1885) - 0.6) < 0.05
    assert 0.9 < np.std(teeth[:, 0] - turns * 1885) < 1.1
    assert 1.8 < np.std(teeth[:, 1]) < 2.2
    part = [tooth for tooth in teeth.tolist() if 1e6 <= tooth[0] < 2e6]
    assert part == [list(tooth) for tooth in mark.teeth((6,), 1e6, 2e6)]
    slip = np.array(list(RollMark(1885.0, 400.0, slip=0.001).teeth((6,), 0, 2e6)))
    turn = np.diff(slip[:, 0]) / 1885
    assert 1.0009 < turn.max() <= 1.0010001
    assert 0.9989999 <= turn.min() < 0.9991
    fading = np.array(list(RollMark(1885.0, 400.0, fade_lines=1e6).teeth((6,), 0, 1e6)))
    assert np.sum(abs(fading[:, 0] - 5e5) < 1e5) < 15
    assert np.sum(fading[:, 0] < 1e5) > 40
