"""Records of a COCO instances file, as far as they are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

ANNOTATIONS = "annotations.json"
IMAGES = "images"
SYNTHESIZER = "stripwatch-train synthesize"  # the contributor of synthetic data sets

Id = int | str


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of `images`; its size may be left out, as the image file has it, too."""

    id: Id
    file_name: str
    width: int | None
    height: int | None
    group: str = ""


class RunLengths(msgspec.Struct, frozen=True):
    """Run lengths of a mask, compressed (str) or not."""

    size: tuple[int, int]
    counts: str | list[int]


class Annotation(msgspec.Struct, frozen=True):
    """The part of an annotation that is read; what else tools write there may be wrong."""

    id: Id  # where the file has none: `number N`
    image_id: Id
    category_id: Id
    segmentation: RunLengths | list[list[float]] | None = None


class WrittenAnnotation(Annotation, frozen=True):
    """An annotation as this package writes it."""

    area: float = 0
    bbox: tuple[float, ...] = ()
    iscrowd: int = 0


class Category(msgspec.Struct, frozen=True):
    """One class."""

    id: Id
    name: str


class Instances(msgspec.Struct, frozen=True):
    """The whole file."""

    images: list[ImageRecord]
    annotations: Sequence[Annotation]
    categories: list[Category]
    info: Any = {}  # some readers require both keys
    licenses: Any = []
