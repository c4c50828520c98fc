"""Composition files of a run: all of its models, and by fold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stripwatch_engine.models.composition import Composition, Role, save_composition
from stripwatch_train.data.samples import DataSet
from stripwatch_train.runs.recipe import DeploymentSettings, Recipe
from stripwatch_train.runs.run_folder import (
    DEPLOYMENT_NAME,
    MODEL_NAME,
    MemberFile,
    RunFile,
    fold_deployment,
)


def write_deployments(
    folder: Path, recipe: Recipe, run: RunFile, data_set: DataSet | None = None
) -> None:
    """Write the composition files for `engine-build`: of all models that are trained, and by fold.

    They name the folder of the data set's images: engines are calibrated and verified on these.
    A file without a segmentation model is of no use, and is not written.

    Raises:
        StorageError: they cannot be written.
    """
    done = [member for member in run.members if (folder / member.name / MODEL_NAME).exists()]
    wanted = {folder / DEPLOYMENT_NAME: done}
    for fold in {member.fold for member in done}:
        wanted[fold_deployment(folder, fold)] = [entry for entry in done if entry.fold == fold]
    for path, members in wanted.items():
        if any(member.role == "segmentation" for member in members):
            composition = composition_of(recipe.deployment, members)
            frames = frames_folder(folder, data_set) if data_set else ""
            save_composition(path, msgspec.structs.replace(composition, frames=frames))


def frames_folder(folder: Path, data_set: DataSet) -> str:
    """Folder of a data set's images, relative to that of the run; "" where there are several."""
    parents = {sample.image.resolve().parent for sample in data_set.samples}
    return os.path.relpath(parents.pop(), folder.resolve()) if len(parents) == 1 else ""


def composition_of(settings: DeploymentSettings, members: Sequence[MemberFile]) -> Composition:
    """The composition of some models of a run, with paths relative to its folder."""

    def paths(role: Role, class_id: int | None = None) -> tuple[str, ...]:
        return tuple(
            f"{member.name}/{MODEL_NAME}"
            for member in members
            if (member.role, member.class_id) == (role, class_id)
        )

    ids = sorted({member.class_id for member in members if member.class_id})
    return Composition(
        models=paths("segmentation"),
        class_models={class_id: paths("segmentation", class_id) for class_id in ids},
        flip=settings.flip,
        gate=paths("gate"),
        classifier=paths("classifier"),
        gate_mode=settings.gate_mode,
        min_area_factor=settings.min_area_factor,
    )
