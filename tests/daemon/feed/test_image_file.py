"""The one reader of image files: kinds, sizes, orientation, and what is refused in which words."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.image_file import image_shape, natural_key, read_grey

GREY = np.random.default_rng(0).integers(0, 256, (6, 9), np.uint8)
ORIENTATION = 0x0112


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_survives_every_lossless_kind(tmp_path: Path, suffix: str, mode: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).convert(mode).save(path)
    assert np.array_equal(read_grey(path), GREY)
    assert image_shape(path) == GREY.shape


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA"])
def test_a_palette_or_an_even_transparency_is_still_grey(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY).convert(mode).save(path)
    assert np.array_equal(read_grey(path), GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_is_read_as_viewers_show_it(tmp_path: Path, orientation: int) -> None:
    """By the eight orientations of EXIF: which side of the stored pixels is up."""
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    shown = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY, -1),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY),
    }[orientation]
    assert np.array_equal(read_grey(path), shown)
    assert image_shape(path) == shown.shape


def test_colour_is_its_luma_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 2), (200, 100, 50)).save(path)
    assert np.array_equal(read_grey(path), np.full((2, 4), 124))  # ITU-R 601
    with pytest.raises(ConfigError, match="differ by up to 150 of 255"):
        read_grey(path, colour_levels_max=8)


@pytest.mark.parametrize("kind", ["I;16", "1", "CMYK"])
def test_other_depths_and_colours_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    if kind == "I;16":
        Image.fromarray(GREY.astype(np.uint16) * 256).save(path)
    else:
        Image.fromarray(GREY).convert(kind).save(path)
    with pytest.raises(ConfigError, match=r"16 bits|of mode"):
        read_grey(path)


def test_partly_transparent_and_several_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.stack([GREY, GREY], axis=-1), mode="LA").save(path)
    with pytest.raises(ConfigError, match="transparent in places"):
        read_grey(path)
    pages = Image.fromarray(GREY)
    pages.save(tmp_path / "a.tif", save_all=True, append_images=[pages])
    with pytest.raises(ConfigError, match="holds 2 images"):
        read_grey(tmp_path / "a.tif")


def png_of(lines: int, pixels: int) -> bytes:
    """A PNG of grey 0 with a header of this size; the pixels of a large one are left out."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", pixels, lines, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_the_limit_is_ours_and_known_before_pixels_are_decoded(tmp_path: Path) -> None:
    """Pillow's own limit of 178,956,970 pixels is below frames that are allowed."""
    path = tmp_path / "a.png"
    path.write_bytes(png_of(15000, 12000))
    assert image_shape(path) == (15000, 12000)
    path.write_bytes(png_of(65536, 65536))
    with pytest.raises(ConfigError, match="at most 65536 on a side and 1,073,741,824 in all"):
        read_grey(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_every_cut_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) * 3 // 4, 3):
        path.write_bytes(whole[:length])
        try:
            assert read_grey(path).ndim == 2  # BMP and TIFF may end with unused bytes
        except (StorageError, ConfigError) as error:
            assert str(path) in str(error)


def test_damaged_exif_data_is_ignored(tmp_path: Path) -> None:
    """It says nothing about the pixels, and Pillow's warning would say nothing to a user."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    Image.fromarray(GREY).save(path, exif=exif)
    whole = path.read_bytes()
    for old, new in (
        (b"\x01\x12\x00\x03", b"\xee\x12\x00\x03"),  # another tag
        (b"MM\0*\0\0\0\x08\0\x01", b"MM\0*\0\0\0\x08\0\xff"),  # 255 entries
    ):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        assert read_grey(path).shape == GREY.shape


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        read_grey(tmp_path / "a.png")


def test_numbers_in_names_are_counted() -> None:
    names = ["f10.png", "F2.png", "f1.png", "f02b.png", "f.png"]
    assert sorted(names, key=natural_key) == ["f1.png", "F2.png", "f02b.png", "f10.png", "f.png"]
