"""Segmentation models of a run or a composition, and the frames they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stripwatch_engine.models.composition import Composition, Role, load_composition
from stripwatch_train.data.folds import read_folds
from stripwatch_train.runs.run_folder import FOLDS_NAME, MODEL_NAME, is_run, load_run


@dataclass(frozen=True)
class Segmenter:
    """A segmentation model and its place in the deployment."""

    path: Path  # of the ONNX file
    class_id: int | None = None  # it segments this class alone


def _segmenters_of_run(folder: Path) -> list[Segmenter]:
    """The segmentation models of a run, of all folds: those that are trained already.

    Raises:
        ConfigError: run.json cannot be read.
    """
    found = [
        Segmenter(folder / member.name / MODEL_NAME, member.class_id)
        for member in load_run(folder).members
        if member.role == "segmentation"
    ]
    return [segmenter for segmenter in found if segmenter.path.is_file()]


def segmenters_of(model: Path) -> list[Segmenter]:
    """The segmentation models of a run, of an ONNX file or of a composition file.

    Raises:
        ConfigError: the run or the composition cannot be read.
    """
    if is_run(model):
        return _segmenters_of_run(model)
    if model.suffix.lower() != ".toml":
        return [Segmenter(model)]
    composition: Composition = load_composition(model)
    single = composition.class_models.items()
    return [
        *(Segmenter(Path(path)) for path in composition.models),
        *(Segmenter(Path(path), number) for number, paths in single for path in paths),
    ]


def presence_paths(model: Path, role: Role) -> list[Path]:
    """The gates or the classifiers of a run (of all folds) or of a composition file.

    Raises:
        ConfigError: the run or the composition cannot be read.
    """
    if is_run(model):
        members = load_run(model).members
        paths = [model / member.name / MODEL_NAME for member in members if member.role == role]
        return [path for path in paths if path.is_file()]
    if model.suffix.lower() != ".toml":
        return []
    composition = load_composition(model)
    found = composition.gates() if role == "gate" else composition.classifiers()
    return list(map(Path, found))


def training_overlap(model: Path, names: Sequence[str]) -> list[str]:
    """The frames among these that the models of a run were trained on.

    Args:
        model: as `predictor.open_predictor` takes it; for an engine the result is empty.
        names: of the frames.

    Raises:
        ConfigError: the run or the composition cannot be read.
    """
    if model.is_dir() and not is_run(model):
        return []
    trained = {name for entry in segmenters_of(model) for name in training_frames(entry.path)}
    return [name for name in names if name in trained]


def training_frames(model: Path) -> set[str]:
    """Names of the frames that an ONNX file of a run was trained on; none outside of a run.

    Raises:
        ConfigError: the run that it lies in cannot be read.
    """
    folder = model.resolve().parent
    run = folder.parent
    if not is_run(run):
        return set()
    left_out = {member.name: member.fold for member in load_run(run).members}
    if folder.name not in left_out:
        return set()
    fold_of = read_folds(run / FOLDS_NAME).fold_of
    return {name for name, fold in fold_of.items() if fold != left_out[folder.name]}
