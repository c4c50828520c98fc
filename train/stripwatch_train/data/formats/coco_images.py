"""The images that a COCO file lists, and their places on the disk.

Tools write an image's path as it was on the machine of the labeller: with `\\`, from the root of
another disk, as an address of a server. Only files in the folders of the labels are read. The
number of leading folders to drop is found by trying, and is the same for all images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from stripwatch.errors import ConfigError
from stripwatch.feed.sources.image_file import SUFFIXES
from stripwatch_train.data.formats.coco_records import IMAGES, Id, ImageRecord
from stripwatch_train.data.images import image_shape


@dataclass(frozen=True, slots=True)
class LocatedImages:
    """Images as they lie on the disk, by id."""

    folder: Path
    names: dict[Id, str]  # paths in the folder, with `/`, all different

    def shape(self, record: ImageRecord) -> tuple[int, int]:
        """Lines, pixels that an image must have: as listed, or else as they are.

        Raises:
            ConfigError: they are not listed, and the file cannot be read.
        """
        if record.width and record.height:
            return (record.height, record.width)
        return image_shape(self.folder / self.names[record.id])

    def unlisted(self) -> list[Path]:
        """Image files beside those that are listed."""
        paths = {self.folder / name for name in self.names.values()}
        return sorted(
            path
            for folder in {path.parent for path in paths if path.parent.is_dir()}
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES
            and not path.name.startswith(".")
            and path not in paths
        )


def unique_images(path: Path, images: Sequence[ImageRecord]) -> dict[Id, ImageRecord]:
    """The records by id.

    Raises:
        ConfigError: there are none, two are the same, or one names no file.
    """
    if not images:
        raise ConfigError(f"{path}: lists no images")
    records: dict[Id, ImageRecord] = {}
    names: set[str] = set()
    for record in images:
        if records.setdefault(record.id, record) is not record or record.file_name in names:
            raise ConfigError(
                f"{path}: image {record.id} ({record.file_name}) is listed twice; keep one"
            )
        names.add(record.file_name)
        if not _parts(record.file_name):
            raise ConfigError(
                f"{path}: image {record.id} has the file_name {record.file_name!r}; it must be a "
                "path inside the folder of images"
            )
    return records


def locate_images(
    path: Path, images: Sequence[ImageRecord], folder: Path | None = None
) -> LocatedImages:
    """Find the images of a COCO file: as the tools unpack them, or as COCO itself does.

    Args:
        path: the COCO file.
        images: what it lists.
        folder: where they lie; None = in the first usual place that has all of them, or else the
            first of them.

    Raises:
        ConfigError: the first image is not found.
    """
    subset = path.stem.removeprefix("instances_")
    above = path.parent.parent
    places: tuple[Path, ...] = (
        *(path.parent, path.parent / IMAGES),
        *(above / IMAGES / subset, above / IMAGES, above / subset, above),
    )
    if folder is not None:
        places = (folder,)
    ids = [record.id for record in images]
    candidates = _candidate_names([record.file_name for record in images])
    found: LocatedImages | None = None
    for place, names in ((place, names) for names in candidates for place in places):
        if (place / names[0]).is_file():
            located = LocatedImages(place, dict(zip(ids, names, strict=True)))
            if all((place / name).is_file() for name in names):
                return located
            found = found or located
    if found:
        return found  # the reader names the missing image
    raise ConfigError(
        f"{path}: its image {images[0].file_name} is in none of {', '.join(map(str, places))}; "
        "put the images into one of them"
    )


def _candidate_names(file_names: Sequence[str]) -> Iterator[list[str]]:
    """Candidates for paths inside a folder: whole, without shared folders, bare names.

    Each is tried as it is written, then with `%5C` and the like decoded. A reading in which two
    images become one is none.
    """
    for text_of in (str, unquote):
        split = [_parts(text_of(name)) for name in file_names]
        shared = 0
        while len({parts[: shared + 1] for parts in split}) == 1 and len(split[0]) > shared + 1:
            shared += 1
        candidates: Iterable[list[str]] = (
            *(["/".join(parts[drop:]) for parts in split] for drop in range(shared + 1)),
            [parts[-1] for parts in split],
        )
        yield from (names for names in candidates if len(set(names)) == len(names))


def _parts(file_name: str) -> tuple[str, ...]:
    """The parts of a path that lead downwards; none if it names no file."""
    text = file_name.replace("\\", "/")
    if "?d=" in text:  # Label Studio's address of a file on its own disk
        text = text.partition("?d=")[2]
    elif "://" in text:
        text = text.partition("?")[0]
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if (parts and parts[-1] == "..") or text.endswith("/"):
        return ()
    while ".." in parts:
        parts = parts[parts.index("..") + 1 :]
    if parts and parts[0].endswith(":"):  # a drive, or what an address begins with
        parts = parts[1:]
    return tuple(parts)
