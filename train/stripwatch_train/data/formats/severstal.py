"""Severstal's data as Kaggle ships it: train.csv, and train_images/ beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from stripwatch.engines.manifest import sha256_files
from stripwatch.errors import ConfigError
from stripwatch_train.data.formats.mask_table import (
    CLASSES,
    SHAPE,
    RunsByClass,
    first_row,
    read_mask_table,
)
from stripwatch_train.data.images import image_files, image_shape
from stripwatch_train.data.samples import DataSet, RunMasks, Sample, make_classes

TABLE = "train.csv"
IMAGE_FOLDERS = ("train_images", "images")
# The competition gives its classes numbers and no names.
CLASS_NAMES = tuple(f"class_{class_id}" for class_id in range(1, CLASSES + 1))


def read_severstal(folder: Path, classes: Sequence[str] | None = None) -> DataSet:
    """The training part of the competition's folder; see `read_severstal_table`.

    Raises:
        ConfigError: also when there is no train.csv or no folder of images.
    """
    images = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    if images is None:
        raise ConfigError(f"{folder}: has no folder {' or '.join(IMAGE_FOLDERS)} of images")
    return read_severstal_table(folder / TABLE, images, classes)


def read_severstal_table(
    table: Path, images: Path, classes: Sequence[str] | None = None
) -> DataSet:
    """A table of masks and the folder of its images.

    An image without a row has no defect, unless the table gives rows to such images, too. Files
    with the same bytes form a group.

    Args:
        table: in one of the layouts of `read_mask_table`.
        images: the folder.
        classes: names of the four classes; None = class_1 to class_4.

    Raises:
        ConfigError: the table breaks a rule; its images are missing; an image is damaged; one
            with masks is not 256 x 1600; it is not known whether images without a row have
            defects.
    """
    masks_of = read_mask_table(table)
    files = {path.name: path for path in image_files(images) if path.parent == images}
    _check_missing(table, images, masks_of, files)
    _check_unlisted(table, images, masks_of, files)
    for name, path in files.items():
        shape = image_shape(path)
        if masks_of.get(name) and shape != SHAPE:
            raise ConfigError(
                f"{path}: is {shape[0]} x {shape[1]} (lines x pixels), but its masks in {table} "
                f"are for {SHAPE[0]} x {SHAPE[1]}; use the original image"
            )
    findings: list[str] = []
    group_of: dict[str, str] = {}
    for names in _same_bytes(files):
        group_of |= dict.fromkeys(names, names[0])
        differing = [name for name in names[1:] if masks_of.get(name) != masks_of.get(names[0])]
        if differing:
            findings.append(
                f"{names[0]} and {', '.join(differing)} are the same image with different masks"
            )
    samples = [
        Sample(name, path, _run_masks(masks_of.get(name)), group_of.get(name, ""))
        for name, path in files.items()
    ]
    known = make_classes(table, classes or CLASS_NAMES)
    if len(known) != CLASSES:
        raise ConfigError(f"{table}: has {CLASSES} classes, but {len(known)} names are given")
    return DataSet(known, tuple(samples), str(table.parent), tuple(findings))


def _run_masks(masks: RunsByClass | None) -> RunMasks | None:
    return RunMasks(SHAPE, "severstal", tuple(sorted(masks.items()))) if masks else None


def _check_missing(
    table: Path, images: Path, masks_of: dict[str, RunsByClass], files: dict[str, Path]
) -> None:
    missing = [name for name in masks_of if name not in files]
    if missing:
        masks = sum(len(masks_of[name]) for name in missing)
        raise ConfigError(
            f"{table}: {len(missing)} of its {len(masks_of)} images, with {masks} masks, are not "
            f"in {images} (the first: {missing[0]}, in row {first_row(table, missing[0])}, with "
            f"{len(masks_of[missing[0]])} masks); copy them there, or take their rows out"
        )


def _check_unlisted(
    table: Path, images: Path, masks_of: dict[str, RunsByClass], files: dict[str, Path]
) -> None:
    unlisted = [name for name in files if name not in masks_of]
    if unlisted and not all(masks_of.values()):
        raise ConfigError(
            f"{table}: has rows for images without defects, but none for {len(unlisted)} images "
            f"of {images} (the first: {unlisted[0]}), so that these cannot be taken for clean; "
            "add rows, or move the images elsewhere"
        )


def _same_bytes(files: dict[str, Path]) -> list[list[str]]:
    """The names of files with equal bytes; only files of equal length are read."""
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for name, path in files.items():
        by_length[path.stat().st_size].append(name)
    by_hash: defaultdict[str, list[str]] = defaultdict(list)
    for names in by_length.values():
        for name in names if len(names) > 1 else ():
            by_hash[sha256_files(files[name])].append(name)
    return [names for names in by_hash.values() if len(names) > 1]
