"""COCO instances: the labels that CVAT and Label Studio export, and the project's own folder.

The project's folder is `annotations.json` and `images/`. Its masks are compressed run lengths, one
annotation for each connected component; the `group` of an image is an extra key that other programs
ignore.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from pycocotools import mask as coco

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError
from stripwatch.files import read_utf8
from stripwatch.wire.causes import WireError
from stripwatch.wire.rle import decode_coco, encode_coco, runs_of_mask
from stripwatch_train.data.formats.coco_images import LocatedImages, locate_images, unique_images
from stripwatch_train.data.formats.coco_records import (
    Id,
    ImageRecord,
    Instances,
    RunLengths,
)
from stripwatch_train.data.images import image_shape
from stripwatch_train.data.samples import DataSet, RunMasks, Sample, class_name, make_classes

OUTSIDE_PX_MAX = 2.0  # of a polygon's corner, outside its image: rounding; more is another image
# It writes brush masks as lines through the middle of their outermost pixels.
OUTLINING_CONTRIBUTOR = "Label Studio Converter"


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
    records = unique_images(path, data.images)
    located = locate_images(path, data.images, images)
    outlined = isinstance(data.info, dict) and (
        data.info.get("contributor") == OUTLINING_CONTRIBUTOR
    )
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
        shape = located.shape(record)
        text = _compressed(where, annotation.segmentation or [], shape, outlined=outlined)
        if coco.area({"size": list(shape), "counts": text}):
            runs[record.id].append((class_of[annotation.category_id], text))
    samples = [_sample(located, record, tuple(runs[record.id])) for record in data.images]
    samples.sort(key=lambda sample: sample.name)
    return DataSet(known, tuple(samples), str(path), _findings(path, located))


def _read(path: Path) -> Instances:
    try:
        return msgspec.json.decode(read_utf8(path), type=Instances)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not a file of COCO instances: {error}") from None


def _classes(
    path: Path, data: Instances, names: Sequence[str] | None
) -> tuple[tuple[DefectClass, ...], dict[Id, int]]:
    """The classes, and the class id of each category id."""
    ordered = sorted(data.categories, key=lambda entry: (isinstance(entry.id, str), entry.id))
    if len({entry.id for entry in ordered}) != len(ordered):
        raise ConfigError(f"{path}: two categories have the same id")
    known = make_classes(path, names or [entry.name for entry in ordered])
    id_of = {entry.name: entry.id for entry in known}
    used = {annotation.category_id for annotation in data.annotations}
    unknown = [
        entry.name for entry in ordered if entry.id in used and class_name(entry.name) not in id_of
    ]
    if unknown:
        raise ConfigError(
            f"{path}: has masks of {', '.join(unknown)}, which is not among the classes "
            f"{', '.join(id_of)}; name it, too, or rename it in the file"
        )
    return known, {entry.id: id_of.get(class_name(entry.name), 0) for entry in ordered}


def _sample(
    located: LocatedImages, record: ImageRecord, runs: tuple[tuple[int, str], ...]
) -> Sample:
    name = located.names[record.id]
    path = located.folder / name
    shape = located.shape(record)
    found = image_shape(path)
    if found != shape:
        raise ConfigError(
            f"{path}: is {found[0]} x {found[1]} (lines x pixels), but its labels are for "
            f"{shape[0]} x {shape[1]}; use the image that was labelled"
        )
    return Sample(name, path, RunMasks(shape, "coco", runs) if runs else None, record.group)


def _findings(path: Path, located: LocatedImages) -> tuple[str, ...]:
    # Some tools list no image that has no label: its clean frames are then not part of the set.
    beside = located.unlisted()
    finding = (
        f"{path}: does not list {len(beside)} images that lie beside those that it lists (the "
        f"first: {beside[0] if beside else ''}); they were left out, and do not count as clean"
    )
    return (finding,) if beside else ()


def _compressed(
    where: str,
    segmentation: RunLengths | list[list[float]],
    shape: tuple[int, int],
    *,
    outlined: bool,
) -> str:
    """COCO's compressed counts, checked, as pycocotools does not check its input."""
    if isinstance(segmentation, list):
        _check_polygons(where, segmentation, shape)
        if outlined:
            filled = np.zeros(shape, np.uint8)
            for polygon in segmentation:  # with its outline, which the mask's outer pixels are
                corners = np.round(np.array(polygon).reshape(-1, 1, 2)).astype(np.int32)
                cv2.fillPoly(filled, [corners], 1)
            return encode_coco(runs_of_mask(filled))
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
