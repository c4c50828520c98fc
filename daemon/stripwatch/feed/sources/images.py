"""A folder of images, or one image, as frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.fit import Fit, check_fits, tile_count, tiles
from stripwatch.feed.sources.frame import Source, SourceFrame, raw_frame
from stripwatch.feed.sources.image_file import (
    SUFFIXES,
    UNREAD_SUFFIXES,
    image_shape,
    natural_key,
    read_grey,
)

IMAGE_FOLDERS = ("train_images", "images")  # as Severstal's data is unpacked


def images_source(place: Path, frame_shape: tuple[int, int] | None, fit: Fit = "exact") -> Source:
    """The image files of a folder, by name and number; each is one frame, or several as tiles.

    Images of kinds that are not read are named by the source's remark.

    Args:
        place: an image, a folder of images, or one laid out as Severstal's (train_images/ or
            images/ inside).
        frame_shape: lines, pixels that every image must have (fewer lines are allowed);
            None = those of the first image.
        fit: how images of other sizes become frames.

    Raises:
        ConfigError: the folder holds no images, or the first is of another size.
        StorageError: the folder or the first image cannot be read.
    """
    paths, unread = ([place], []) if place.is_file() else _image_paths(place)
    if not paths:
        inner = ", ".join(f"{name}/" for name in IMAGE_FOLDERS)
        others = f" that can be read, but {_left_out(unread)}" if unread else ""
        raise ConfigError(
            f"{place} holds no images{others}; give a folder with {', '.join(SUFFIXES)} files, "
            f"or one with {inner} inside"
        )
    first_shape = image_shape(paths[0])
    expected = frame_shape or first_shape
    check_fits(paths[0], first_shape, expected, fit)
    count = len(paths)
    if fit == "tile":
        count = sum(tile_count(image_shape(path), expected) for path in paths)

    def frames() -> Iterator[SourceFrame]:
        for path in paths:
            check_fits(path, image_shape(path), expected, fit)  # before a pixel is decoded
            for pixels in tiles(read_grey(path), expected):
                yield raw_frame(pixels)

    def remark() -> str:
        return f"left out {_left_out(unread)}; convert them to PNG to send them" if unread else ""

    return Source(name=_strip_name(place.resolve()), frames=frames, count=count, remark=remark)


def _image_paths(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images of a folder in their order, and those of kinds that are not read."""
    unread: list[Path] = []
    for place in (folder, *(folder / name for name in IMAGE_FOLDERS)):
        try:
            files = [path for path in place.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{place} cannot be read: {error.strerror}") from error
        paths = [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
        unread += [path for path in files if path.suffix.lower() in UNREAD_SUFFIXES]
        if paths:
            return sorted(paths, key=lambda path: (natural_key(path.name), path.name)), unread
    return [], unread


def _strip_name(place: Path) -> str:
    """The folder's name, or that of the folder around it where it is merely called "images"."""
    if place.is_file():
        return place.stem
    return place.parent.name if place.name in IMAGE_FOLDERS else place.name


def _left_out(paths: list[Path]) -> str:
    """Counts of files by suffix: "2 files of kind .webp"."""
    counts = Counter(path.suffix.lower() for path in paths)
    return ", ".join(
        f"{count} file{'s' * (count > 1)} of kind {suffix}"
        for suffix, count in sorted(counts.items())
    )
