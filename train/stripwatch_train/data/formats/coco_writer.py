"""Writing the project folder: images, and their masks as COCO instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.inspect.defects import find_components
from stripwatch.wire.names import class_bit
from stripwatch.wire.rle import encode_coco, runs_of_mask
from stripwatch_train.data.formats.coco_records import (
    ANNOTATIONS,
    IMAGES,
    SYNTHESIZER,
    Category,
    ImageRecord,
    Instances,
    RunLengths,
    WrittenAnnotation,
)
from stripwatch_train.data.text import check_name


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image to write."""

    file_name: str  # path under images/
    data: bytes  # of the PNG or JPEG file
    mask: NDArray[np.uint8]  # [lines, pixels], bit c-1 set where class c is
    group: str = ""


def write_coco(
    folder: Path,
    classes: Sequence[DefectClass],
    images: Iterable[LabelledImage],
    *,
    is_synthetic: bool = False,
) -> int:
    """Write the project's folder; returns the number of images.

    `annotations.json` comes last: what a stopped run leaves is no data set. Synthetic ones
    are marked as such, so that models know what they were trained on.

    Raises:
        ConfigError: the folder exists and is not empty, or its name is not UTF-8.
        StorageError: it cannot be written.
    """
    check_name(folder)
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists and is not empty; give another name")
    records: list[ImageRecord] = []
    annotations: list[WrittenAnnotation] = []
    try:
        for number, image in enumerate(images, 1):
            path = folder / IMAGES / image.file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.data)
            lines, pixels = image.mask.shape
            records.append(ImageRecord(number, image.file_name, pixels, lines, image.group))
            for entry in classes:
                annotations += _instances(image.mask, number, entry.id, len(annotations) + 1)
        categories = [Category(entry.id, entry.name) for entry in classes]
        info = {"contributor": SYNTHESIZER} if is_synthetic else {}
        data = msgspec.json.encode(Instances(records, annotations, categories, info))
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ANNOTATIONS, msgspec.json.format(data, indent=1) + b"\n")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return len(records)


def _instances(
    mask: NDArray[np.uint8], image_id: int, class_id: int, first_id: int
) -> list[WrittenAnnotation]:
    """An annotation for each connected component of one class."""
    plane = mask & class_bit(class_id)
    if not plane.any():
        return []
    lines, pixels = plane.shape
    found = find_components(plane)
    annotations: list[WrittenAnnotation] = []
    for label in range(1, len(found.stats)):
        x, y, width, height, area = found.stats[label].tolist()
        component = (found.labels[y : y + height, x : x + width] == label).astype(np.uint8)
        counts = encode_coco(runs_of_mask(component, (x, y), (lines, pixels)))
        runs, box = RunLengths((lines, pixels), counts), (x, y, width, height)
        number = first_id + label - 1
        annotations.append(WrittenAnnotation(number, image_id, class_id, runs, area, box))
    return annotations
