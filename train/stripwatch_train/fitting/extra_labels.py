"""Training targets besides the labels: a teacher's probabilities and pseudo-labelled frames.

Both come from files that the user names, and both are checked: a teacher must have probabilities of
these very frames, and pseudo-labelled frames must not be near-duplicates of validation frames.
"""

from __future__ import annotations

import dataclasses
import filecmp
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_train.data.duplicates import find_groups
from stripwatch_train.data.formats.coco_records import IMAGES
from stripwatch_train.data.images import image_shape, opened
from stripwatch_train.data.samples import DataSet, Sample, image_name, soft_path
from stripwatch_train.runs.recipe import Recipe

AGAIN = "write it again with: stripwatch-train predict --soft"


def teacher_files(
    teacher: Path | None,
    data_set: DataSet,
    recipe: Recipe,
    progress: Progress = lambda *_: None,
) -> dict[str, Path]:
    """The files of a teacher's probabilities, by the names of the samples that have one.

    Args:
        teacher: folder of `stripwatch-train predict --soft`; None = there is no teacher.
        data_set: labelled frames.
        recipe: that is trained.
        progress: called before each frame.

    Raises:
        ConfigError: no sample has one, one is of other classes or of another image of the same
            name, or the recipe uses no teacher.
    """
    if teacher is None:
        return {}
    if not any(member.loss.teacher for member in recipe.members):
        raise ConfigError(
            f"--teacher {teacher}: this recipe uses labels alone; give, for example, --set "
            "loss.teacher=0.7 (that share of its targets), or leave --teacher out"
        )
    files = {sample.name: soft_path(teacher, sample) for sample in data_set.samples}
    found = {name: path for name, path in files.items() if path.is_file()}
    if not found:
        raise ConfigError(
            f"--teacher {teacher}: has no probabilities of these frames "
            f"({next(iter(files.values()))} and the others are missing); {AGAIN}"
        )
    for done, sample in enumerate(data_set.samples):
        progress("frames of the teacher", done, len(data_set.samples))
        if sample.name in found:
            _check_taught(teacher, found[sample.name], sample, len(data_set.classes))
    return found


def _check_taught(teacher: Path, path: Path, sample: Sample, classes: int) -> None:
    lines, pixels = image_shape(sample.image)
    with opened(path, ("PNG",)) as file:
        if file.mode != "L" or file.size != (pixels, lines * classes):
            raise ConfigError(f"{path}: is not of {classes} classes of {sample.image}; {AGAIN}")
    image = teacher / IMAGES / image_name(sample)
    if image.is_file() and not filecmp.cmp(image, sample.image, shallow=False):
        raise ConfigError(f"{path}: is of {image}, which is not {sample.image}; {AGAIN}")


def near_duplicate_folds(
    pseudo: DataSet,
    data_set: DataSet,
    fold_of: NDArray[np.int64],
    progress: Progress = lambda *_: None,
) -> list[frozenset[int]]:
    """The folds with a near-duplicate of each pseudo-labelled frame (ADR 12).

    Args:
        pseudo: frames that a model labelled.
        data_set: the labelled ones.
        fold_of: of each labelled one, int64 [samples].
        progress: called after each frame.

    Raises:
        ConfigError: an image cannot be read.
    """
    count = len(data_set.samples)
    both = dataclasses.replace(data_set, samples=(*data_set.samples, *pseudo.samples))
    groups = find_groups(both, progress)
    return [frozenset(fold_of[groups[:count] == group].tolist()) for group in groups[count:]]
