"""Samples: what an image and a mask may be, what is refused, and what a fingerprint covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stripwatch.errors import ConfigError
from stripwatch.wire.rle import encode_coco, encode_severstal, runs_of_mask
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.fingerprint import fingerprint
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import classes_of, load_mask
from stripwatch_train.data.samples import DataSet, MaskFile, Masks, RunMasks, Sample, make_classes

SHAPE = (12, 20)
GREY = np.arange(240, dtype=np.uint8).reshape(SHAPE)
RGB = np.stack([GREY] * 3, axis=2)
HALF = np.where(GREY < 120, 0, 255).astype(np.uint8)


def sample(path: Path, masks: Masks = None) -> Sample:
    return Sample(path.name, path, masks)


def with_alpha(alpha: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.dstack([RGB, alpha]))


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(RGB),
        Image.fromarray(GREY).convert("P"),
        Image.fromarray(GREY).convert("LA"),
        with_alpha(np.full(SHAPE, 7, np.uint8)),
    ],
    ids=lambda image: str(image.mode),
)
def test_every_way_to_save_grey_gives_the_same_pixels(tmp_path: Path, image: Image.Image) -> None:
    """Three equal channels, a palette of greys, and a constant alpha channel change nothing."""
    path = tmp_path / "a.png"
    image.save(path)
    loaded = load_image(sample(path))
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, GREY)


def test_channels_that_differ_a_little_pass_as_grey(tmp_path: Path) -> None:
    """As a JPEG encoder leaves them; one level more than that is named with the file."""
    path = tmp_path / "a.png"
    nearly = RGB.copy()
    nearly[3, 4] = (100, 108, 104)
    Image.fromarray(nearly).save(path)
    assert abs(int(load_image(sample(path))[3, 4]) - 105) <= 1
    nearly[3, 4] = (100, 109, 104)
    Image.fromarray(nearly).save(path)
    with pytest.raises(ConfigError, match=r"a\.png: is in colour: .* by up to 9 of 255 levels"):
        load_image(sample(path))


def save_16_bit_grey(path: Path) -> None:
    cv2.imwrite(str(path), GREY.astype(np.uint16) * 256)


def save_16_bit_colour(path: Path) -> None:
    cv2.imwrite(str(path), RGB.astype(np.uint16) * 256)


def save_truncated(path: Path) -> None:
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (save_16_bit_grey, "has 16 bits a channel"),
        (save_16_bit_colour, "has 16 bits a channel"),
        (lambda path: with_alpha(HALF).save(path), "is transparent in places"),
        (lambda path: Image.fromarray(HALF).convert("1").save(path), "is of mode 1"),
        (lambda path: Image.fromarray(RGB).convert("CMYK").save(path, "JPEG"), "of mode CMYK"),
        (lambda path: path.write_bytes(b"no image"), "is damaged, or not one of PNG, JPEG, BMP"),
        (save_truncated, "cannot be read: .*truncated"),
        (lambda _: None, "is missing"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_an_image_that_is_not_grey_and_whole_is_refused(
    tmp_path: Path, save: Callable[[Path], object], words: str
) -> None:
    """The sentence names the file and what is wrong with it."""
    path = tmp_path / "a.png"
    save(path)
    with pytest.raises(ConfigError, match=rf"a\.png: .*{words}"):
        load_image(sample(path))


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


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "has 0 classes"),
        ([f"n{number}" for number in range(9)], "has 9 classes; 1 to 8"),
        (["a", "Ä"], "'Ä' cannot name a class"),
        (["a" * 33], "cannot name a class"),
        (["Rolled-in", "rolled in"], "two classes are called 'rolled_in'"),
    ],
)
def test_names_that_cannot_be_classes_are_refused(names: list[str], words: str) -> None:
    """In the name of the file that they come from."""
    with pytest.raises(ConfigError, match=f"classes.txt: .*{words}"):
        make_classes(Path("classes.txt"), names)


def test_names_are_written_as_events_carry_them() -> None:
    """Small letters, digits and underscores; ids count from 1."""
    made = make_classes(Path("x"), ["Rolled-in scale ", "MT_Crack"])
    assert [(entry.id, entry.name) for entry in made] == [(1, "rolled_in_scale"), (2, "mt_crack")]


def small_set(folder: Path) -> DataSet:
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), GREY)
    cv2.imwrite(str(folder / "b.png"), GREY)
    cv2.imwrite(str(folder / "m.png"), GREY // 200)
    samples = (
        Sample("b", folder / "b.png", MaskFile(folder / "m.png", 2)),
        Sample("a", folder / "a.png", RunMasks(SHAPE, "severstal", ((1, "1 3"),))),
    )
    return DataSet(make_classes(folder, ["x", "y"]), samples, str(folder))


def test_a_fingerprint_is_of_the_data_alone(tmp_path: Path) -> None:
    """Path, order and findings do not matter; names, labels and every byte of an image do."""
    data = small_set(tmp_path / "one")
    same = small_set(tmp_path / "two")
    first, second = same.samples
    changed = [
        dataclasses.replace(same, classes=make_classes(tmp_path, ["x", "z"])),
        dataclasses.replace(same, samples=(first,)),
        dataclasses.replace(same, samples=(first, dataclasses.replace(second, name="c"))),
        dataclasses.replace(same, samples=(first, dataclasses.replace(second, masks=None))),
    ]
    prints = [fingerprint(entry) for entry in changed]
    assert fingerprint(data) == fingerprint(same)
    assert fingerprint(data) == fingerprint(
        dataclasses.replace(same, samples=(second, first), findings=("x",))
    )
    for name in ("b.png", "m.png"):
        path = tmp_path / "two" / name
        path.write_bytes(path.read_bytes() + b"\0")
        prints.append(fingerprint(same))
    assert len({fingerprint(data), *prints}) == 1 + len(prints)
    (tmp_path / "two" / "a.png").unlink()
    with pytest.raises(ConfigError, match=r"a\.png: cannot be read"):
        fingerprint(same)


def test_a_folder_without_data_is_an_error_that_lists_the_layouts(tmp_path: Path) -> None:
    """Every layout that is known."""
    (tmp_path / "a.png").touch()
    layouts = ("annotations.json", "instances_", "train.csv", "images/", "masks/", "CLASS/a.jpg")
    with pytest.raises(ConfigError) as caught:
        open_data_set(tmp_path)
    assert all(layout in str(caught.value) for layout in layouts)
    for path in (tmp_path / "a.png", tmp_path / "none", tmp_path / "none.json"):
        with pytest.raises(ConfigError, match="is neither a folder nor a"):
            open_data_set(path)
