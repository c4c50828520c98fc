"""COCO instances: the labels that CVAT and Label Studio export, and the project's own folder.

The project's folder is `annotations.json` and `images/`. Its masks are compressed run lengths, one
annotation for each connected piece; an image's `group` stands as a key of its own, which other
programs pass over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from stripwatch.errors import ConfigError, StorageError, WireError
from stripwatch.manifest import DefectClass
from stripwatch.rle import decode_coco, encode_coco, runs_of_mask
from stripwatch.wire.frame import Side
from stripwatch_train.samples import (
    DataSet,
    RunMasks,
    Sample,
    class_name,
    image_shape,
    make_classes,
)

ANNOTATIONS = "annotations.json"
IMAGES = "images"
OUTSIDE_PX_MAX = 2.0  # of a polygon's corner, outside its image: rounding; more is another image

Id = int | str


class _Image(msgspec.Struct, frozen=True, omit_defaults=True):
    id: Id
    file_name: str
    width: Side
    height: Side
    group: str = ""


class _Runs(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct, frozen=True):
    id: Id
    image_id: Id
    category_id: Id
    segmentation: _Runs | list[list[float]] = []
    area: float = 0
    bbox: tuple[float, ...] = ()
    iscrowd: int = 0


class _Category(msgspec.Struct, frozen=True):
    id: Id
    name: str


class _Instances(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    info: dict[str, Any] = {}  # some readers want it to be there, and the licences
    licenses: list[Any] = []


def read_coco(
    path: Path, classes: Sequence[str] | None = None, images: Path | None = None
) -> DataSet:
    """Frames and masks of a COCO instances file; images without annotations are clean.

    Polygons and run lengths, compressed or not, are read; boxes, areas and crowd marks are not.

    Args:
        path: the JSON file.
        classes: names of the classes in order, among which all categories must be; None = the
            categories in the order of their ids.
        images: the folder that `file_name` counts from; None = the first usual one that fits.

    Raises:
        ConfigError: the file is damaged or contradicts itself, an image is missing or of another
            size, an annotation has no mask or an unknown category.
    """
    data = _read(path)
    known, class_of = _classes(path, data, classes)
    records = _unique_images(path, data.images)
    folder = images or _image_folder(path, data.images)
    runs: defaultdict[Id, list[tuple[int, str]]] = defaultdict(list)
    for annotation in data.annotations:
        where = f"{path}: annotation {annotation.id}"
        if annotation.image_id not in records:
            raise ConfigError(f"{where} is of image {annotation.image_id}, which is not listed")
        if annotation.category_id not in class_of:
            raise ConfigError(
                f"{where} is of category {annotation.category_id}; there are: "
                f"{', '.join(map(str, class_of)) or 'none'}"
            )
        record = records[annotation.image_id]
        text = _compressed(where, annotation.segmentation, (record.height, record.width))
        if coco.area({"size": [record.height, record.width], "counts": text}):
            runs[record.id].append((class_of[annotation.category_id], text))
    samples = [
        _sample(folder, record, tuple(runs[record.id]))
        for record in sorted(data.images, key=lambda record: record.file_name)
    ]
    return DataSet(known, tuple(samples), str(path))


def _read(path: Path) -> _Instances:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Instances)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not a file of COCO instances: {error}") from None


def _classes(
    path: Path, data: _Instances, names: Sequence[str] | None
) -> tuple[tuple[DefectClass, ...], dict[Id, int]]:
    """The classes, and the class id of each category id."""
    ordered = sorted(data.categories, key=lambda entry: (isinstance(entry.id, str), entry.id))
    if len({entry.id for entry in ordered}) != len(ordered):
        raise ConfigError(f"{path}: two categories have the same id")
    known = make_classes(path, names or [entry.name for entry in ordered])
    id_of = {entry.name: entry.id for entry in known}
    used = {annotation.category_id for annotation in data.annotations}
    strange = [
        entry.name for entry in ordered if entry.id in used and class_name(entry.name) not in id_of
    ]
    if strange:
        raise ConfigError(
            f"{path}: has masks of {', '.join(strange)}, which is not among the classes "
            f"{', '.join(id_of)}; name it, too, or rename it in the file"
        )
    return known, {entry.id: id_of.get(class_name(entry.name), 0) for entry in ordered}


def _unique_images(path: Path, images: list[_Image]) -> dict[Id, _Image]:
    if not images:
        raise ConfigError(f"{path}: lists no images")
    records: dict[Id, _Image] = {}
    names: set[str] = set()
    for record in images:
        if records.setdefault(record.id, record) is not record or record.file_name in names:
            raise ConfigError(
                f"{path}: image {record.id} ({record.file_name}) is listed twice; keep one"
            )
        names.add(record.file_name)
        name = PurePosixPath(record.file_name)
        if name.is_absolute() or ".." in name.parts or not name.name:
            raise ConfigError(
                f"{path}: image {record.id} has the file_name {record.file_name!r}; it must be a "
                "path inside the folder of images"
            )
    return records


def _image_folder(path: Path, images: list[_Image]) -> Path:
    """Where the first image lies: as the tools unpack, or as COCO itself does."""
    subset = path.stem.removeprefix("instances_")
    above = path.parent.parent
    places = (
        *(path.parent, path.parent / IMAGES),
        *(above / IMAGES / subset, above / IMAGES, above / subset, above),
    )
    first = images[0].file_name
    for place in places:
        if (place / first).is_file():
            return place
    raise ConfigError(
        f"{path}: its image {first} is in none of {', '.join(map(str, places))}; "
        "put the images into one of them"
    )


def _sample(folder: Path, record: _Image, runs: tuple[tuple[int, str], ...]) -> Sample:
    path = folder / record.file_name
    shape = (record.height, record.width)
    found = image_shape(path)
    if found != shape:
        raise ConfigError(
            f"{path}: is {found[0]} x {found[1]} (lines x pixels), but its labels are for "
            f"{shape[0]} x {shape[1]}; use the image that was labelled"
        )
    masks = RunMasks(shape, "coco", runs) if runs else None
    return Sample(record.file_name, path, masks, record.group)


def _compressed(where: str, segmentation: _Runs | list[list[float]], shape: tuple[int, int]) -> str:
    """COCO's compressed counts, checked: pycocotools trusts what it is given."""
    if isinstance(segmentation, list):
        _check_polygons(where, segmentation, shape)
        return str(coco.merge(coco.frPyObjects(segmentation, *shape))["counts"], "ascii")
    if segmentation.size != shape:
        raise ConfigError(
            f"{where} is of size {segmentation.size}, its image {shape} (lines, pixels)"
        )
    counts = segmentation.counts
    if isinstance(counts, str):
        try:
            decode_coco(counts, shape)
        except WireError as error:
            raise ConfigError(f"{where}: {error.detail}") from None
        return counts
    if min(counts, default=0) < 0 or sum(counts) != shape[0] * shape[1]:
        raise ConfigError(f"{where}: its counts do not add up to the image's pixels")
    packed = coco.frPyObjects({"counts": counts, "size": list(shape)}, *shape)
    return str(packed["counts"], "ascii")


def _check_polygons(where: str, polygons: list[list[float]], shape: tuple[int, int]) -> None:
    if not polygons:
        raise ConfigError(f"{where} has no mask; draw one, or delete it")
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ConfigError(
                f"{where}: a polygon of {len(polygon)} numbers; it needs x, y of 3 corners or more"
            )
        corners = np.array(polygon).reshape(-1, 2)
        over = np.maximum(-corners, corners - (shape[1], shape[0])).max()
        if not over <= OUTSIDE_PX_MAX:
            raise ConfigError(
                f"{where}: a corner lies {over:.1f} pixels outside its image of {shape[0]} x "
                f"{shape[1]} (lines x pixels)"
            )


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image to write."""

    file_name: str  # path under images/
    data: bytes  # of the PNG or JPEG file
    mask: NDArray[np.uint8]  # [lines, pixels], bit c-1 set where class c is
    group: str = ""


def write_coco(
    folder: Path, classes: Sequence[DefectClass], images: Iterable[LabelledImage]
) -> int:
    """Write the project's folder; returns the number of images.

    `annotations.json` comes last: what a stopped run leaves is no data set.

    Raises:
        ConfigError: the folder exists and is not empty.
        StorageError: it cannot be written.
    """
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists and is not empty; give another name")
    records: list[_Image] = []
    annotations: list[_Annotation] = []
    try:
        for number, image in enumerate(images, 1):
            path = folder / IMAGES / image.file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.data)
            lines, pixels = image.mask.shape
            records.append(_Image(number, image.file_name, pixels, lines, image.group))
            for entry in classes:
                annotations += _instances(image.mask, number, entry.id, len(annotations) + 1)
        categories = [_Category(entry.id, entry.name) for entry in classes]
        data = msgspec.json.encode(_Instances(records, annotations, categories))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ANNOTATIONS).write_bytes(msgspec.json.format(data, indent=1) + b"\n")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return len(records)


def _instances(
    mask: NDArray[np.uint8], image_id: int, class_id: int, first_id: int
) -> list[_Annotation]:
    """An annotation for each connected piece of one class."""
    plane = np.bitwise_and(mask, np.uint8(1 << (class_id - 1)))
    if not plane.any():
        return []
    lines, pixels = plane.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
    found: list[_Annotation] = []
    for label in range(1, len(stats)):
        x, y, width, height, area = stats[label].tolist()
        piece = (labels[y : y + height, x : x + width] == label).astype(np.uint8)
        counts = encode_coco(runs_of_mask(piece, (x, y), (lines, pixels)))
        runs, box = _Runs((lines, pixels), counts), (x, y, width, height)
        number = first_id + label - 1
        found.append(_Annotation(number, image_id, class_id, runs, area, box))
    return found
