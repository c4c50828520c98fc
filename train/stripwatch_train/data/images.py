"""Image files: found, opened, and read as the grey pixels that training takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from stripwatch.errors import ConfigError
from stripwatch_train.data.samples import Sample

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
COLOUR_LEVELS_MAX = 8  # of 255, between the channels of a grey image that was saved as colour
_IMAGE_FORMATS = ("PNG", "JPEG", "BMP")


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, by name; hidden files are left out.

    Raises:
        ConfigError: there are none.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
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
    """Lines, pixels of an image file; its pixels are not decoded.

    Raises:
        ConfigError: as `opened`.
    """
    with opened(path) as image:
        return (image.height, image.width)


def load_image(sample: Sample) -> NDArray[np.uint8]:
    """The sample's grey pixels, uint8 [lines, pixels].

    Colour files whose channels are equal, or nearly, count as grey.

    Raises:
        ConfigError: the file is missing or damaged, in colour, partly transparent, or has not
            8 bits a channel.
    """
    with opened(sample.image) as image:
        if _has_16_bits(image):
            raise ConfigError(
                f"{sample.image}: has 16 bits a channel; convert it to 8 bit grey as the camera "
                "would send it"
            )
        if image.mode not in ("L", "LA", "P", "RGB", "RGBA"):
            raise ConfigError(
                f"{sample.image}: is of mode {image.mode}; convert it to 8 bit grey or RGB"
            )
        return _grey(sample.image, image)


def _has_16_bits(image: ImageFile.ImageFile) -> bool:
    """Whether a file has 16 bits; of colour files Pillow would silently drop the lower 8."""
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)


def _grey(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() != alpha.max():
            raise ConfigError(f"{path}: is transparent in places; save it without transparency")
        image = image.convert(image.mode.removesuffix("A"))
    if image.mode == "RGB":
        channels = np.asarray(image)
        apart = int((channels.max(axis=2) - channels.min(axis=2)).max())
        if apart > COLOUR_LEVELS_MAX:
            raise ConfigError(
                f"{path}: is in colour: its channels differ by up to {apart} of 255 levels, and "
                f"at most {COLOUR_LEVELS_MAX} pass as grey; convert it, or remove it if something "
                "was drawn into it"
            )
    return np.array(image.convert("L"))  # the luma that the daemon takes, too
