"""Data sets in memory, whatever their layout on disk: images, masks and groups.

No image or mask is loaded before it is used: a sample is a path and either a few run-length strings
or another path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError
from stripwatch.wire.names import CLASSES_MAX

# As `class_name` writes them; _background_ and __ignore__ are LabelMe's.
BACKGROUND_NAMES = frozenset(
    ("background", "bg", "ignore", "ignored", "unlabeled", "unlabelled", "void", "no_defect")
)


@dataclass(frozen=True, slots=True)
class RunMasks:
    """Masks as run-length strings; a class may have several, which are joined."""

    shape: tuple[int, int]  # lines, pixels of the image that they were made for
    coding: Literal["severstal", "coco"]
    runs: tuple[tuple[int, str], ...]  # class id, text


@dataclass(frozen=True, slots=True)
class MaskFile:
    """Masks as an image file beside the image."""

    path: Path
    classes: int  # how many there are: values beyond them are refused
    class_id: int | None = None  # bright pixels are of this class; None = values are class ids


Masks = RunMasks | MaskFile | None  # None: known to be without defects


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame and its labels."""

    name: str  # unique in its data set
    image: Path
    masks: Masks
    group: str = ""  # frames of one group stay in one fold; "" = none known


@dataclass(frozen=True, slots=True)
class DataSet:
    """Frames with labels, and the classes of the labels."""

    classes: tuple[DefectClass, ...]
    samples: tuple[Sample, ...]
    source: str  # where it came from, for reading
    findings: tuple[str, ...] = ()  # remarks of its reader, a sentence each
    is_synthetic: bool = False  # all its frames are of the synthetic strip


def class_name(text: str) -> str:
    """A name as events carry it: `Rolled-in scale` becomes `rolled_in_scale`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def is_background(text: str) -> bool:
    """Whether a name is one that labelling tools give to what is no defect."""
    return class_name(text) in BACKGROUND_NAMES


def make_classes(where: Path, names: Sequence[str]) -> tuple[DefectClass, ...]:
    """Classes 1, 2, 3, ... of these names, each as `class_name` writes it.

    Raises:
        ConfigError: in the name of `where`: there are none or too many, or two are the same.
    """
    plain = [class_name(name) for name in names]
    if not 1 <= len(plain) <= CLASSES_MAX:
        raise ConfigError(f"{where}: has {len(plain)} classes; 1 to {CLASSES_MAX} fit a mask")
    for name, given in zip(plain, names, strict=True):
        if is_background(given):
            raise ConfigError(
                f"{where}: {given!r} is no class: the background is what no mask covers (the value "
                "0 of mask images); take it out, so that the next name is class 1, or rename it if "
                "it is a defect"
            )
        if not 1 <= len(name) <= 32:
            raise ConfigError(
                f"{where}: {given!r} cannot name a class; use 1 to 32 characters of a-z 0-9 _"
            )
        if plain.count(name) > 1:
            raise ConfigError(f"{where}: two classes are called {name!r} in {', '.join(names)}")
    return tuple(DefectClass(id=index, name=name) for index, name in enumerate(plain, 1))


def image_name(sample: Sample) -> str:
    """The sample's name with the image's suffix, which the names of some layouts lack."""
    suffix = sample.image.suffix
    return sample.name if sample.name.endswith(suffix) else sample.name + suffix


def soft_path(folder: Path, sample: Sample) -> Path:
    """Path of a model's probabilities of a sample: [classes * lines, pixels], times 255."""
    return folder / "soft" / Path(sample.name).with_suffix(".png")
