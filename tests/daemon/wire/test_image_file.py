"""What reaches the decoder of an image, and what is refused before."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from stripwatch.wire.image_file import CHUNKS_MAX, SCANS_MAX, SEGMENTS_MAX, pixel_parts

PIXELS = np.random.default_rng(5).integers(0, 256, (64, 96), np.uint8)


def coded(codec: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, codec, **options)
    return buffer.getvalue()


def pixels_of(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)))


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


@pytest.mark.parametrize(
    ("codec", "options"),
    [("png", {}), ("jpeg", {}), ("jpeg", {"progressive": True}), ("jpeg", {"quality": 100})],
)
def test_the_pixels_of_an_image_stay_the_same(
    codec: Literal["png", "jpeg"], options: dict[str, object]
) -> None:
    image = coded(codec, **options)
    assert np.array_equal(pixels_of(pixel_parts(codec, image)), pixels_of(image))


def test_metadata_never_reaches_the_decoder() -> None:
    """Profiles, comments and thumbnails are where decoders fail and files hide work."""
    png, jpeg = coded("png"), coded("jpeg")
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    assert pixel_parts("png", png[:33] + text + png[33:-12] + text + png[-12:]) == png
    comment = segment(0xFE, b"c") + segment(0xE1, b"Exif\0\0" + jpeg)
    plain = pixel_parts("jpeg", jpeg)
    assert pixel_parts("jpeg", jpeg[:2] + comment + jpeg[2:] + b"behind the end") == plain
    assert np.array_equal(pixels_of(plain), pixels_of(jpeg))


def test_more_scans_than_an_encoder_writes_are_refused() -> None:
    """Each is a pass over all pixels: 475 kB hold 14 s of work."""
    jpeg = coded("jpeg", progressive=True)
    scan = segment(0xDA, bytes([1, 1, 0, 1, 63, 0x10])) + b"\x00\x01"
    pixel_parts("jpeg", jpeg[:-2] + scan + jpeg[-2:])
    with pytest.raises(ValueError, match="scans"):
        pixel_parts("jpeg", jpeg[:-2] + SCANS_MAX * scan + jpeg[-2:])


def test_more_parts_than_an_encoder_writes_are_refused() -> None:
    png, jpeg = coded("png"), coded("jpeg")
    with pytest.raises(ValueError, match="chunks"):
        pixel_parts("png", png[:33] + CHUNKS_MAX * chunk(b"abCd", b"") + png[33:])
    with pytest.raises(ValueError, match="segments"):
        pixel_parts("jpeg", jpeg[:2] + SEGMENTS_MAX * segment(0xDB, bytes(65)) + jpeg[2:])


@pytest.mark.parametrize("codec", ["png", "jpeg"])
def test_every_truncation_is_refused_or_left_to_the_decoder(codec: Literal["png", "jpeg"]) -> None:
    image = coded(codec)
    for length in range(len(image)):
        try:
            assert len(pixel_parts(codec, image[:length])) <= length
        except ValueError as error:
            assert "cut off" in str(error) or "not a" in str(error)
