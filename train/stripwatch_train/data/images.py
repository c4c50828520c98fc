"""Image files: found, opened, and read as the grey pixels that training takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources import image_file
from stripwatch.feed.sources.image_file import SUFFIXES, UNREAD_SUFFIXES
from stripwatch_train.data.samples import Sample
from stripwatch_train.data.text import check_name

COLOUR_LEVELS_MAX = 8  # of 255, between the channels of a grey image that was saved as colour
_IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, by name; hidden files are left out.

    Raises:
        ConfigError: there are none, or some of a kind that is not read, or with a name that is not
            UTF-8.
    """
    found = sorted(
        path for path in folder.rglob("*") if not path.name.startswith(".") and path.is_file()
    )
    unread = [path for path in found if path.suffix.lower() in UNREAD_SUFFIXES]
    if unread:
        raise ConfigError(
            f"{unread[0]}: files of kind {unread[0].suffix} are not read (there are {len(unread)} "
            f"such files in {folder}); convert them to PNG, or move them elsewhere"
        )
    paths = [path for path in found if path.suffix.lower() in SUFFIXES]
    for path in paths:
        check_name(path)
    if not paths:
        raise ConfigError(f"{folder}: holds no images ({', '.join(SUFFIXES)})")
    return paths


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = _IMAGE_FORMATS) -> Iterator[ImageFile.ImageFile]:
    """Open an image file; errors until it is closed become a ConfigError that names it.

    Raises:
        ConfigError: it is missing, damaged, or none of `formats`.
    """
    try:
        with Image.open(path, formats=formats) as image:
            yield image
    except FileNotFoundError:
        raise ConfigError(f"{path}: is missing") from None
    except UnidentifiedImageError:
        raise ConfigError(
            f"{path}: is damaged, or not one of {', '.join(formats)}; replace or remove it"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; replace or remove it") from None


def image_shape(path: Path) -> tuple[int, int]:
    """Lines, pixels of an image file as it is shown (EXIF); its pixels are not decoded.

    Raises:
        ConfigError: it is missing, damaged, or of a kind that is not read.
    """
    with _refused(path):
        return image_file.image_shape(path)


def load_image(sample: Sample) -> NDArray[np.uint8]:
    """The sample's grey pixels, uint8 [lines, pixels], as replay sends them.

    Colour files whose channels are equal, or nearly, count as grey. An image that its EXIF data
    turns is turned, as labelling tools show it.

    Raises:
        ConfigError: the file is missing or damaged, in colour, partly transparent, or has not
            8 bits a channel.
    """
    with _refused(sample.image):
        return image_file.read_grey(sample.image, colour_levels_max=COLOUR_LEVELS_MAX)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn an error of the reader into a ConfigError: the data are at fault, not the disk."""
    try:
        yield
    except (ConfigError, StorageError) as error:
        if not path.exists():
            raise ConfigError(f"{path}: is missing") from None
        raise ConfigError(f"{path}: {str(error).removeprefix(f'{path} ')}") from None
