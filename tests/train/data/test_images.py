"""Images: every way to save grey is read alike, and what is not grey is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stripwatch.errors import ConfigError
from stripwatch_train.data.images import image_files, image_shape, load_image
from stripwatch_train.data.samples import Masks, Sample

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
        (lambda path: path.write_bytes(b"no image"), "is not a PNG, JPEG, BMP or TIFF file"),
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


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_an_image_is_read_as_it_is_shown(
    tmp_path: Path, suffix: str, orientation: int, turns: int
) -> None:
    """EXIF turns it for viewers and labelling tools, so labels lie on the turned image."""
    shown = np.full((16, 32), 150, np.uint8)
    shown[2:6, 2:12] = 20
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    stored = np.ascontiguousarray(np.rot90(shown, -turns))
    Image.fromarray(stored).save(path, exif=exif, quality=100)
    assert image_shape(path) == (16, 32)
    assert np.abs(load_image(sample(path)).astype(int) - shown).max() <= 12  # JPEG's edges


def test_files_of_other_kinds_are_not_left_out_in_silence(tmp_path: Path) -> None:
    """They may be half of the data; and a name must be one that labels can hold."""
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert [path.name for path in image_files(tmp_path)] == ["a.png"]
    Image.fromarray(GREY).save(tmp_path / "b.webp")
    with pytest.raises(ConfigError, match=r"b\.webp: files of kind \.webp are not read"):
        image_files(tmp_path)
    (tmp_path / "b.webp").unlink()
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/Ri\xdf.png"))
    with pytest.raises(ConfigError, match=r"Ri\\udcdf\.png: its name is not UTF-8 .*; rename it"):
        image_files(tmp_path)
