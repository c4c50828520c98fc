"""Composition files of a run name the images that engines are calibrated and verified on."""

from __future__ import annotations

from pathlib import Path

from stripwatch.engines.manifest import DefectClass
from stripwatch_train.data.samples import DataSet, Sample
from stripwatch_train.runs.deployment_files import frames_folder

CLASSES = (DefectClass(id=1, name="pits"),)


def data_of(*images: Path) -> DataSet:
    samples = tuple(Sample(path.name, path, None) for path in images)
    return DataSet(CLASSES, samples, source="here")


def test_the_folder_of_the_images_is_named_relative_to_the_run(tmp_path: Path) -> None:
    """So that both may be moved together."""
    images = tmp_path / "steel" / "images"
    data = data_of(images / "1.png", images / "2.png")
    assert frames_folder(tmp_path / "runs" / "first", data) == "../../steel/images"


def test_images_in_several_folders_are_not_named(tmp_path: Path) -> None:
    """One of them would not show every class."""
    data = data_of(tmp_path / "a" / "1.png", tmp_path / "b" / "1.png")
    assert frames_folder(tmp_path, data) == ""
