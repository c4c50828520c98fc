"""Checks of teachers and of pseudo-labels, which must not be validation frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stripwatch.errors import ConfigError
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.samples import DataSet
from stripwatch_train.fitting.extra_labels import near_duplicate_folds, teacher_files
from stripwatch_train.runs.recipe import Recipe
from stripwatch_train.runs.recipe_files import load_recipe

FRAMES = 20


@pytest.fixture
def data(small_data: Path) -> DataSet:
    return open_data_set(small_data)


@pytest.fixture
def student() -> Recipe:
    return load_recipe("edge")


def teach(folder: Path, data: DataSet, *frames: int, classes: int = 4) -> Path:
    """A teacher's folder, as `predict --soft` writes it, of some of the frames."""
    for index in frames:
        sample = data.samples[index]
        for name in ("images", "soft"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.image, folder / "images" / sample.name)
        Image.fromarray(np.zeros((64 * classes, 128), np.uint8)).save(folder / "soft" / sample.name)
    return folder


def test_targets_are_mixed_with_a_teachers_probabilities(
    tmp_path: Path, data: DataSet, student: Recipe
) -> None:
    folder = teach(tmp_path, data, 0, 3)
    names = {data.samples[index].name for index in (0, 3)}
    assert teacher_files(folder, data, student) == {name: folder / "soft" / name for name in names}
    assert teacher_files(None, data, student) == {}


def test_a_teacher_without_these_frames_is_refused(
    tmp_path: Path, data: DataSet, student: Recipe
) -> None:
    """Also one that is not there: the run would be no student, and its record would say it is."""
    with pytest.raises(
        ConfigError, match=r"has no probabilities of these frames .* predict --soft"
    ):
        teacher_files(tmp_path / "missing", data, student)


def test_a_recipe_that_does_not_listen_gets_no_teacher(tmp_path: Path, data: DataSet) -> None:
    with pytest.raises(ConfigError, match=r"uses labels alone; .* --set loss\.teacher=0\.7"):
        teacher_files(teach(tmp_path, data, 0), data, load_recipe("unet"))


def test_a_teacher_of_other_classes_is_refused_and_named(
    tmp_path: Path, data: DataSet, student: Recipe
) -> None:
    with pytest.raises(ConfigError, match=r"0-0\.png: is not of 4 classes of .*predict --soft"):
        teacher_files(teach(tmp_path, data, 0, classes=3), data, student)


def test_a_teacher_in_colour_is_refused_and_named(
    tmp_path: Path, data: DataSet, student: Recipe
) -> None:
    folder = teach(tmp_path, data, 0)
    colour = np.zeros((64 * 4, 128, 3), np.uint8)
    Image.fromarray(colour).save(folder / "soft" / data.samples[0].name)
    with pytest.raises(ConfigError, match=r"0-0\.png: is not of 4 classes of .*predict --soft"):
        teacher_files(folder, data, student)


def test_a_teacher_that_was_shown_another_image_of_the_same_name_is_refused(
    tmp_path: Path, data: DataSet, student: Recipe
) -> None:
    folder = teach(tmp_path, data, 0)
    shutil.copy(data.samples[1].image, folder / "images" / data.samples[0].name)
    with pytest.raises(ConfigError, match=r"0-0\.png: is of .*images/0-0\.png, which is not"):
        teacher_files(folder, data, student)


def test_a_pseudo_labelled_frame_is_of_the_folds_whose_frames_it_looks_like(
    tmp_path: Path, data: DataSet
) -> None:
    """Also turned by half; one that looks like nothing is of none."""
    fold_of = np.arange(FRAMES) % 4
    folder = tmp_path / "images"
    folder.mkdir()
    with Image.open(data.samples[6].image) as image:
        image.save(folder / "same.png")
    with Image.open(data.samples[7].image) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(folder / "turned.png")
    noise = np.random.default_rng(3).integers(0, 256, (64, 128), np.uint8)
    Image.fromarray(noise).save(folder / "new.png")
    (tmp_path / "masks").mkdir()
    for name in ("new", "same", "turned"):
        Image.fromarray(np.zeros((64, 128), np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    pseudo = open_data_set(tmp_path, ["a"])
    new, same, turned = near_duplicate_folds(pseudo, data, fold_of)
    assert new == frozenset()
    assert 6 % 4 in same
    assert 7 % 4 in turned
