"""Folder of a training run.

run.json                what was trained on what: RunFile
recipe.json             the recipe, as it ran
folds.json              which frame is in which fold
<member>/               one for each model: last.ckpt, best.ckpt, metrics.csv, model.onnx,
                        model.json; trained, an empty file, once its training is over
deployment.toml         all models together, for engine-build
deployment-fold<N>.toml only the models not trained on fold N, for evaluation
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import read_utf8, write_whole
from stripwatch_engine.models.composition import Role
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import load_folds
from stripwatch_train.data.samples import DataSet, Sample

RUN_NAME = "run.json"
FOLDS_NAME = "folds.json"
RECIPE_NAME = "recipe.json"
DEPLOYMENT_NAME = "deployment.toml"
MODEL_NAME = "model.onnx"
TRAINED_NAME = "trained"


class MemberFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a run."""

    name: str  # its folder
    role: Role
    fold: int  # of its validation frames, which it is not trained on
    class_id: int | None = None  # segments this class alone

    @property
    def recipe_name(self) -> str:
        """Name of its member in the recipe."""
        name = self.name.removesuffix(f"-fold{self.fold}")
        return name.removesuffix(f"-class{self.class_id}") if self.class_id else name


class RunFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`run.json`."""

    recipe: str  # its name
    data: str  # path of the data set
    classes: tuple[str, ...]
    data_sha256: str  # samples.fingerprint
    frame_shape: tuple[int, int]  # lines, pixels, of most frames
    mean: float  # of their pixels as 0 to 1
    std: float
    members: tuple[MemberFile, ...]
    teacher: str = ""  # name of the folder
    pseudo: str = ""  # name of the data set
    begun_from: str = ""  # name of the run or model whose weights were the first
    v: Literal[1] = 1


@dataclass(frozen=True)
class ValidationPart:
    """A fold, and the models that may be evaluated on it."""

    fold: int
    deployment: Path  # composition file of the models not trained on the fold
    samples: tuple[Sample, ...]


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run."""
    return (path / RUN_NAME).is_file()


def load_run(folder: Path) -> RunFile:
    """Read run.json.

    Raises:
        ConfigError: it is missing or damaged.
    """
    path = folder / RUN_NAME
    try:
        return msgspec.json.decode(read_utf8(path), type=RunFile)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; `stripwatch-train fit` writes it"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not a {RUN_NAME}: {error}") from None


def save_run(folder: Path, run: RunFile) -> None:
    """Write run.json.

    Raises:
        StorageError: it cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(run), indent=2)
    try:
        write_whole(folder / RUN_NAME, data + b"\n")
    except OSError as error:
        raise StorageError(f"{folder / RUN_NAME} cannot be written: {error.strerror}") from error


def open_run_data(folder: Path, run: RunFile) -> DataSet:
    """The data that a run was trained on.

    Raises:
        ConfigError: they are missing, or cannot be read.
    """
    if not Path(run.data).exists():
        raise ConfigError(
            f"{folder}: was trained on {run.data}, which is missing; repeat its fit command with "
            "the new --data path: nothing is trained again"
        )
    return open_data_set(Path(run.data), run.classes)


def is_trained(folder: Path, entry: MemberFile) -> bool:
    """Whether a model is trained and exported; an unfinished one may have an export, too."""
    return all((folder / entry.name / name).exists() for name in (TRAINED_NAME, MODEL_NAME))


def mark_trained(folder: Path, entry: MemberFile) -> None:
    """Note that a model's training is over.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / entry.name / TRAINED_NAME
    try:
        path.touch()
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def fold_deployment(folder: Path, fold: int) -> Path:
    """The composition file of the models not trained on a fold."""
    return folder / f"deployment-fold{fold}.toml"


def validation_parts(folder: Path) -> tuple[DataSet, tuple[ValidationPart, ...]]:
    """The data of a run, and each fold that some of its models were not trained on.

    Raises:
        ConfigError: the run or its data cannot be read.
    """
    run = load_run(folder)
    folds = [
        fold
        for fold in sorted({member.fold for member in run.members})
        if fold_deployment(folder, fold).is_file()
    ]
    if not folds:
        raise ConfigError(f"{folder}: no segmentation model is trained yet; resume its fit")
    data_set = open_run_data(folder, run)
    _, fold_of = load_folds(folder / FOLDS_NAME, data_set)
    parts = tuple(
        ValidationPart(
            fold,
            fold_deployment(folder, fold),
            tuple(data_set.samples[index] for index in np.flatnonzero(fold_of == fold)),
        )
        for fold in folds
    )
    return data_set, parts
