"""A folder of images as frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.frame import Source, SourceFrame, raw_frame

SUFFIXES = (".png", ".jpg", ".jpeg")
IMAGE_FOLDERS = ("train_images", "images")  # as Severstal's data is unpacked


def images_source(folder: Path, frame_shape: tuple[int, int] | None) -> Source:
    """The PNG and JPEG files of a folder, by name; each is one frame.

    Args:
        folder: of images, or one laid out as Severstal's (train_images/ or images/ inside).
        frame_shape: lines, pixels that every image must have (fewer lines are allowed);
            None = those of the first image.

    Raises:
        ConfigError: the folder holds no images, or the first is of another size.
        StorageError: the first image cannot be read.
    """
    paths = _image_paths(folder)
    if not paths:
        inner = ", ".join(f"{name}/" for name in IMAGE_FOLDERS)
        raise ConfigError(
            f"{folder} holds no images; give a folder with {', '.join(SUFFIXES)} files, "
            f"or one with {inner} inside"
        )
    first_shape = read_grey(paths[0]).shape
    expected = frame_shape or (first_shape[0], first_shape[1])
    _check_size(paths[0], (first_shape[0], first_shape[1]), expected)

    def frames() -> Iterator[SourceFrame]:
        for path in paths:
            pixels = read_grey(path)
            _check_size(path, (pixels.shape[0], pixels.shape[1]), expected)
            yield raw_frame(pixels)

    return Source(name=folder.resolve().name, frames=frames, count=len(paths))


def read_grey(path: Path) -> NDArray[np.uint8]:
    """An image file as grey pixels, uint8 [lines, pixels]; RGB becomes its luma.

    Raises:
        StorageError: the file cannot be read or is not a PNG or JPEG.
        ConfigError: it is neither 8 bit grey nor RGB.
    """
    try:
        with Image.open(path, formats=["PNG", "JPEG"]) as image:
            if image.mode not in ("L", "RGB"):
                raise ConfigError(
                    f"{path} is of mode {image.mode}; convert it to 8 bit grey or RGB"
                )
            return np.asarray(image.convert("L"))
    except UnidentifiedImageError:
        raise StorageError(f"{path} is not a PNG or JPEG file; remove or replace it") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise StorageError(f"{path} cannot be read: {error}; remove or replace it") from error


def _image_paths(folder: Path) -> list[Path]:
    for place in (folder, *(folder / name for name in IMAGE_FOLDERS)):
        if place.is_dir():
            paths = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
            if paths:
                return paths
    return []


def _check_size(path: Path, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    if shape[1] != expected[1] or shape[0] > expected[0]:
        raise ConfigError(
            f"{path} is {shape[0]} x {shape[1]} (lines x pixels), the frames here are "
            f"{expected[0]} x {expected[1]}; crop or cut the image, or leave it out"
        )
