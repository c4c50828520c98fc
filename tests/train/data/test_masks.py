"""Masks: run lengths and mask files give the same planes, and misfits are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stripwatch.errors import ConfigError
from stripwatch.wire.rle import encode_coco, encode_severstal, runs_of_mask
from stripwatch_train.data.masks import classes_of, load_mask
from stripwatch_train.data.samples import MaskFile, Masks, RunMasks, Sample

SHAPE = (12, 20)
GREY = np.arange(240, dtype=np.uint8).reshape(SHAPE)
RGB = np.stack([GREY] * 3, axis=2)
HALF = np.where(GREY < 120, 0, 255).astype(np.uint8)


def sample(path: Path, masks: Masks = None) -> Sample:
    return Sample(path.name, path, masks)


def test_classes_may_overlap_in_run_lengths(tmp_path: Path) -> None:
    """Each class has its bit, in either coding, and several runs of one class are joined."""
    planes = np.random.default_rng(2).integers(0, 2, (3, *SHAPE), np.uint8)
    wanted = planes[0] | planes[1] << 7 | planes[2] << 7
    for coding, encode in (("severstal", encode_severstal), ("coco", encode_coco)):
        runs = [encode(runs_of_mask(plane)) for plane in planes]
        pairs = tuple(zip((1, 8, 8), runs, strict=True))
        masks = RunMasks(SHAPE, coding, pairs)  # type: ignore[arg-type]
        one = sample(tmp_path / "a.png", masks)
        np.testing.assert_array_equal(load_mask(one, SHAPE), wanted)
        assert classes_of(one) == {1, 8}


def test_a_sample_without_masks_is_clean(tmp_path: Path) -> None:
    """Its mask is zero, in the shape asked for."""
    one = sample(tmp_path / "a.png")
    assert load_mask(one, (3, 5)).tolist() == [[0] * 5] * 3
    assert classes_of(one) == frozenset()


@pytest.mark.parametrize("mode", ["L", "P"])
def test_the_values_of_a_mask_file_are_classes(tmp_path: Path, mode: str) -> None:
    """In grey files and in palette files, of whatever colours."""
    values = np.random.default_rng(3).integers(0, 4, SHAPE).astype(np.uint8)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
    image.save(tmp_path / "m.png")
    one = sample(tmp_path / "a.png", MaskFile(tmp_path / "m.png", classes=3))
    wanted = np.array([0, 1, 2, 4], np.uint8)[values]
    np.testing.assert_array_equal(load_mask(one, SHAPE), wanted)
    assert classes_of(one) == {1, 2, 3}


def test_white_is_the_only_class_or_the_named_one(tmp_path: Path) -> None:
    """Masks of 0 and 255 need no conversion; blurred ones are cut at 128."""
    path = tmp_path / "m.png"
    Image.fromarray(HALF).save(path)
    only = sample(path, MaskFile(path, classes=1))
    np.testing.assert_array_equal(load_mask(only, SHAPE), HALF // 255)
    Image.fromarray(GREY).save(path)
    named = sample(path, MaskFile(path, classes=5, class_id=3))
    np.testing.assert_array_equal(load_mask(named, SHAPE), (GREY >= 128) * 4)
    assert classes_of(named) == {3}


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (RunMasks((20, 12), "severstal", ()), r"a\.png: its mask is 20 x 12 .* the image 12 x 20"),
        (RunMasks(SHAPE, "severstal", ((2, "1"),)), r"a\.png: mask of class 2: number 1 is a star"),
        (RunMasks(SHAPE, "coco", ((2, "x"),)), r"a\.png: mask of class 2: "),
    ],
)
def test_run_lengths_that_do_not_fit_are_refused(
    tmp_path: Path, masks: RunMasks, words: str
) -> None:
    """Naming the image."""
    with pytest.raises(ConfigError, match=words):
        load_mask(sample(tmp_path / "a.png", masks), SHAPE)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(GREY), "has the value 239; with 3 classes a mask has 0"),
        (Image.fromarray(RGB), "is of mode RGB; a mask is one channel"),
        (Image.fromarray(GREY.T.copy() // 100), "its mask is 20 x 12"),
        (Image.fromarray(GREY.astype(np.uint16)), "is of mode I;16"),
    ],
)
def test_a_mask_file_that_does_not_fit_is_refused(
    tmp_path: Path, image: Image.Image, words: str
) -> None:
    """Naming the file and the value."""
    image.save(tmp_path / "m.png")
    one = sample(tmp_path / "a.png", MaskFile(tmp_path / "m.png", classes=3))
    with pytest.raises(ConfigError, match=rf"m\.png: {words}"):
        load_mask(one, SHAPE)


def test_a_mask_is_never_jpeg(tmp_path: Path) -> None:
    """Its values would be others than were saved."""
    Image.fromarray(GREY // 100).save(tmp_path / "m.jpg")
    one = sample(tmp_path / "a.png", MaskFile(tmp_path / "m.jpg", classes=3))
    with pytest.raises(ConfigError, match=r"m\.jpg: is damaged, or not one of PNG, BMP"):
        classes_of(one)
