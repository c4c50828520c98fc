"""Image files: found, put in order, and read as the grey pixels that a camera would send.

The one reader of image files for replay, calibration, verification and training.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.names import SIDE_MAX

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff")
KINDS = "PNG, JPEG, BMP or TIFF"
# Images by their names, of kinds that are not read.
UNREAD_SUFFIXES = (
    ".apng", ".avif", ".dng", ".exr", ".gif", ".hdr", ".heic", ".heif",
    ".jp2", ".j2k", ".jpx", ".npy", ".pbm", ".pcx", ".pgm", ".pnm",
    ".ppm", ".psd", ".raw", ".svg", ".tga", ".webp",
)  # fmt: skip
PIXELS_MAX = 1 << 30  # of one image: 1 GiB of memory
_MODES = ("L", "LA", "P", "RGB", "RGBA")
_ORIENTATION_TAG = 0x0112  # of EXIF
_TURNS = {  # from the pixels as stored to those shown, by orientation; EXIF 2.3, section 4.6.4
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = range(5, 9)  # orientations that exchange lines and pixels
# Opened by these classes and not by Image.open, whose limit of 178,956,970 pixels guards against
# strangers' files: here the file is the user's own, and PIXELS_MAX is the limit.
_OPENERS: tuple[tuple[tuple[bytes, ...], type[ImageFile]], ...] = (
    ((b"\x89PNG\r\n\x1a\n",), PngImageFile),
    ((b"\xff\xd8\xff",), JpegImageFile),
    ((b"BM",), BmpImageFile),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
)
MAGIC_BYTES = 8  # of a file, by which its kind is known


def is_image(magic: bytes) -> bool:
    """Whether the first bytes of a file are those of an image that can be read."""
    return any(magic.startswith(begin) for begin, _ in _OPENERS)


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which frame-2 comes before frame-10; capital letters make no difference."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(
        (1, int(part)) if index % 2 else (0, part.casefold()) for index, part in enumerate(parts)
    )


def read_grey(path: Path, *, colour_levels_max: int | None = None) -> NDArray[np.uint8]:
    """The grey pixels of an image file, uint8 [lines, pixels].

    An image whose EXIF data says that it is turned is turned as viewers and labelling tools show
    it. Colour becomes its luma, as in the daemon. A transparency that is equal everywhere is
    ignored.

    Args:
        path: of the file.
        colour_levels_max: largest difference between the channels of a pixel, of 255; None = any.

    Raises:
        StorageError: the file cannot be read, or is no such image.
        ConfigError: it is too large, in too much colour, partly transparent, or has not 8 bits a
            channel.
    """
    with _opened(path) as image:
        _check_kind(path, image)
        return _grey(path, image, colour_levels_max)


def image_shape(path: Path) -> tuple[int, int]:
    """Lines, pixels of an image file as `read_grey` returns it; no pixel is decoded.

    Raises:
        StorageError, ConfigError: as `read_grey`.
    """
    with _opened(path) as image:
        sideways = _orientation(image) in _SIDEWAYS
        return (image.width, image.height) if sideways else (image.height, image.width)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image file; errors until it is closed name it."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about damaged EXIF data
            opener = _opener(path, file.read(MAGIC_BYTES))
            file.seek(0)
            with opener(file) as image:
                _check_size(path, image.height, image.width)
                yield image
    except (ConfigError, StorageError):
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StorageError(f"{path} cannot be read: {reason}; remove or replace it") from error


def _opener(path: Path, magic: bytes) -> type[ImageFile]:
    for begins, opener in _OPENERS:
        if magic.startswith(begins):
            return opener
    raise StorageError(f"{path} is not a {KINDS} file; remove or replace it")


def _check_size(path: Path, lines: int, pixels: int) -> None:
    if max(lines, pixels) > SIDE_MAX or lines * pixels > PIXELS_MAX:
        raise ConfigError(
            f"{path} is {lines} x {pixels} (lines x pixels); an image may have at most {SIDE_MAX} "
            f"on a side and {PIXELS_MAX:,} in all; cut it into frames"
        )


def _check_kind(path: Path, image: ImageFile) -> None:
    # Of colour files with 16 bits Pillow would silently drop the lower 8.
    if image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile):
        raise ConfigError(
            f"{path} has 16 bits a channel; convert it to 8 bit grey as the camera would send it"
        )
    if image.mode not in _MODES:
        raise ConfigError(f"{path} is of mode {image.mode}; convert it to 8 bit grey or RGB")
    count = getattr(image, "n_frames", 1)
    if count > 1:
        raise ConfigError(f"{path} holds {count} images; save each in a file of its own")


def _orientation(image: ImageFile) -> Any:  # noqa: ANN401 - whatever the file says
    """EXIF's orientation, 1 to 8, or None; the pixels are not decoded."""
    if isinstance(image, TiffImageFile):  # Pillow turns it itself
        return None
    if not isinstance(image, PngImageFile):
        return image.getexif().get(_ORIENTATION_TAG)
    exif = Image.Exif()  # PngImageFile.getexif would decode the image
    exif.load(image.info.get("exif", b""))
    return exif.get(_ORIENTATION_TAG)


def _grey(path: Path, opened: ImageFile, colour_levels_max: int | None) -> NDArray[np.uint8]:
    turn = _TURNS.get(_orientation(opened))
    image = opened if turn is None else opened.transpose(turn)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        lowest, highest = image.getchannel("A").getextrema()
        if lowest != highest:
            raise ConfigError(f"{path} is transparent in places; save it without transparency")
        image = image.convert(image.mode.removesuffix("A"))
    if image.mode == "RGB" and colour_levels_max is not None:
        channels = np.asarray(image)
        apart = int((channels.max(axis=2) - channels.min(axis=2)).max())
        if apart > colour_levels_max:
            raise ConfigError(
                f"{path} is in colour: its channels differ by up to {apart} of 255 levels, and at "
                f"most {colour_levels_max} pass as grey; convert it, or remove it if something "
                "was drawn into it"
            )
    return np.array(image.convert("L"))
