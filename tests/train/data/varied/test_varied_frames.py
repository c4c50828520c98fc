"""Varied strip: other steel in each frame, and only defects in its mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stripwatch.synthetic import CLASSES
from stripwatch_train.data.varied import VariedStrip

SHAPE = (128, 480)
RATE = 20.0
FRAMES = 30
SEEN = 6.0  # grey levels: a labelled defect changes the frame by more, on most of its pixels


def test_the_same_seed_and_index_give_the_same_frame_in_any_order() -> None:
    forth, back = VariedStrip(7, SHAPE, RATE), VariedStrip(7, SHAPE, RATE)
    first = {index: forth.frame(index) for index in (0, 1, 40, 3)}
    for index in reversed(first):
        again = back.frame(index)
        np.testing.assert_array_equal(first[index].pixels, again.pixels)
        np.testing.assert_array_equal(first[index].mask, again.mask)


def test_frames_differ_as_strips_do() -> None:
    """In brightness, in contrast, in how much of them is strip; between seeds and within one."""
    strips = [VariedStrip(seed, SHAPE) for seed in range(6)]
    frames = [strip.frame(index) for strip in strips for index in range(6)]
    means = np.array([frame.pixels.mean() for frame in frames])
    deviations = np.array([frame.pixels.std() for frame in frames])
    black = np.array([(frame.pixels < 20).mean() for frame in frames])
    assert len(set(means.tolist())) == len(frames)
    assert means.max() > 4 * means.min()
    assert deviations.max() > 4 * deviations.min()
    assert (black > 0.25).any()
    assert (black < 0.01).any()


def test_every_class_is_drawn_and_a_clean_strip_has_none() -> None:
    found = np.zeros(len(CLASSES), int)
    for seed in range(FRAMES):
        frame = VariedStrip(seed, SHAPE, RATE).frame(2)
        assert frame.mask.max() < 1 << len(CLASSES)
        found += [int((frame.mask & (1 << at)).any()) for at in range(len(CLASSES))]
        assert not VariedStrip(seed, SHAPE, 0).frame(2).mask.any()
    assert (found >= 4).all(), found


def test_a_mask_shows_where_defects_change_the_frame_and_nothing_else() -> None:
    """Against the clean strip of the same seed, which has the same steel, marks and noise."""
    changes, elsewhere = [], []
    for seed in range(FRAMES):
        frame, clean = (VariedStrip(seed, SHAPE, rate).frame(1) for rate in (RATE, 0.0))
        change = np.abs(frame.pixels.astype(float) - clean.pixels)
        # Defects are soft, and a JPEG spreads them over its blocks.
        near = cv2.dilate(frame.mask, np.ones((41, 41), np.uint8)) > 0
        covered = frame.mask > 0
        if covered.any() and not near.all():
            changes.append(float(np.median(change[covered])))
            elsewhere.append(float(np.mean(change[~near])))
    assert len(changes) > FRAMES / 2
    assert np.mean(np.array(changes) > SEEN) > 0.9, changes
    assert np.median(elsewhere) < 0.05, elsewhere


def test_what_is_black_beyond_the_edges_has_no_mask() -> None:
    checked = 0
    for seed in range(FRAMES):
        frame = VariedStrip(seed, SHAPE, 60).frame(0)
        columns = (frame.pixels < 25).all(axis=0)
        # A column that is black for its whole height, beside others that are, is no defect.
        eroded = cv2.erode(np.asarray(columns, np.uint8)[None], np.ones((1, 41), np.uint8))
        beyond = np.asarray(eroded)[0] > 0
        checked += int(beyond.any())
        assert not frame.mask[:, beyond].any()
    assert checked >= 5


@pytest.mark.parametrize("shape", [(1, 16), (8, 16), (7, 33), (1, 640), (300, 48)])
def test_frames_of_any_shape_can_be_had(shape: tuple[int, int]) -> None:
    for seed in range(8):
        frame = VariedStrip(seed, shape, 100).frame(seed)
        for image in (frame.pixels, frame.mask):
            assert image.shape == shape
            assert image.dtype == np.uint8
