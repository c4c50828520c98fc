"""Opening a data set in any layout, and converting it to the project's own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_train.data.cut import Cutter
from stripwatch_train.data.formats.coco import read_coco
from stripwatch_train.data.formats.coco_records import ANNOTATIONS
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.formats.mask_folder import (
    IMAGE_FOLDER,
    MASK_FOLDERS,
    has_class_folders,
    read_class_folders,
    read_mask_folder,
)
from stripwatch_train.data.formats.severstal import IMAGE_FOLDERS, TABLE, read_severstal
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet, image_name
from stripwatch_train.data.text import check_name

LABEL_STUDIO = ("result.json", "result_coco.json")  # as it calls COCO files in its archives


def open_data_set(path: Path, classes: Sequence[str] | None = None) -> DataSet:
    """Open the data set at a path; the files there determine its layout.

    Args:
        path: a COCO file; a folder with annotations.json, annotations/instances_*.json, or, as
            Label Studio calls it, result.json or result_coco.json; one with train.csv; one with
            images/ and annotations/ or masks/, or a folder inside its images/
            (`images/training`); one with a folder of a.jpg and a.png for each class.
        classes: the classes' names, in order; see the readers for layouts with their own names.

    Raises:
        ConfigError: there is no such file or folder, or it breaks a rule.
    """
    found = find_data_set(path, classes)
    if found:
        return found
    raise ConfigError(
        f"{path}: holds no data set; looked for {ANNOTATIONS}, annotations/instances_*.json or "
        f"{' or '.join(LABEL_STUDIO)} (COCO), "
        f"{TABLE} with {' or '.join(f'{name}/' for name in IMAGE_FOLDERS)} (Severstal), "
        f"{IMAGE_FOLDER}/ with {' or '.join(f'{name}/' for name in MASK_FOLDERS)} (index masks), "
        "and CLASS/a.jpg with CLASS/a.png (a folder for each class)"
    )


def find_data_set(path: Path, classes: Sequence[str] | None = None) -> DataSet | None:
    """As `open_data_set`; None where a folder holds no labels.

    Raises:
        ConfigError: there is no such file or folder, or its labels break a rule.
    """
    check_name(path.resolve())
    if path.suffix.lower() == ".json" and path.is_file():
        return read_coco(path, classes)
    if not path.is_dir():
        raise ConfigError(f"{path}: is neither a folder nor a .json file of COCO instances")
    labels = _coco_file(path)
    if labels:
        return read_coco(labels, classes)
    if (path / TABLE).is_file():
        return read_severstal(path, classes)
    images, masks = _mask_folders(path)
    if masks:
        return read_mask_folder(images, masks, classes)
    labels = next((path / name for name in LABEL_STUDIO if (path / name).is_file()), None)
    if labels:
        return read_coco(labels, classes)
    return read_class_folders(path, classes) if has_class_folders(path) else None


def _coco_file(folder: Path) -> Path | None:
    if (folder / ANNOTATIONS).is_file():
        return folder / ANNOTATIONS
    exported = sorted((folder / "annotations").glob("instances_*.json"))
    if len(exported) > 1:
        raise ConfigError(f"{folder}: has {', '.join(map(str, exported))}; name one of them")
    return exported[0] if exported else None


def _mask_folders(path: Path) -> tuple[Path, Path | None]:
    """The folders of images and of masks, where `path` holds both or is a part of the images."""
    inside = path.parent.name == IMAGE_FOLDER
    images = path if inside else path / IMAGE_FOLDER
    for name in MASK_FOLDERS:
        masks = path.parent.parent / name / path.name if inside else path / name
        if images.is_dir() and masks.is_dir():
            return images, masks
    return images, None


def with_groups(data_set: DataSet, before: DataSet) -> DataSet:
    """A data set with the groups of another one, as labelling tools return labels without them.

    Frames are matched by their file names; a frame that has a group keeps it.

    Raises:
        ConfigError: no frame matches.
    """
    names = [PurePosixPath(sample.name).name for sample in before.samples]
    count = Counter(names)
    group_of = {
        name: sample.group
        for name, sample in zip(names, before.samples, strict=True)
        if sample.group and count[name] == 1
    }
    samples = tuple(
        dataclasses.replace(
            sample, group=sample.group or group_of.get(PurePosixPath(sample.name).name, "")
        )
        for sample in data_set.samples
    )
    if samples == data_set.samples:
        raise ConfigError(
            f"{before.source}: gives no frame of {data_set.source} a group; name the data set that "
            "its labels were made from, whose files have the same names"
        )
    return dataclasses.replace(data_set, samples=samples)


def convert(
    data_set: DataSet,
    folder: Path,
    progress: Progress = lambda *_: None,
    frame_shape: tuple[int, int] | None = None,
) -> int:
    """Write a data set as the project's folder; returns the number of images.

    Image files are copied as they are, after they were read as training reads them; with a
    `frame_shape` (lines, pixels) they are cut into frames of it, or padded to it.

    Raises:
        ConfigError: an image or mask cannot be used, or the folder is not empty.
        StorageError: the folder cannot be written.
    """
    images = _labelled_images(data_set, progress, frame_shape)
    return write_coco(folder, data_set.classes, images, is_synthetic=data_set.is_synthetic)


def _labelled_images(
    data_set: DataSet, progress: Progress, frame_shape: tuple[int, int] | None
) -> Iterator[LabelledImage]:
    cutter = Cutter(frame_shape) if frame_shape else None
    for done, sample in enumerate(data_set.samples):
        progress("frames", done, len(data_set.samples))
        pixels = load_image(sample)
        mask = load_mask(sample, (pixels.shape[0], pixels.shape[1]))
        if cutter:
            yield from cutter.frames(sample, pixels, mask)
        else:
            yield LabelledImage(image_name(sample), sample.image.read_bytes(), mask, sample.group)
