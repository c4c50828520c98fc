"""Composition files of a run: all of its models, and by fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stripwatch_engine.models.composition import Composition, Role, save_composition
from stripwatch_train.runs.recipe import DeploymentSettings, Recipe
from stripwatch_train.runs.run_folder import (
    DEPLOYMENT_NAME,
    MODEL_NAME,
    MemberFile,
    RunFile,
    fold_deployment,
)


def write_deployments(folder: Path, recipe: Recipe, run: RunFile) -> None:
    """Write the composition files for `engine-build`: of all models that are trained, and by fold.

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
            save_composition(path, composition_of(recipe.deployment, members))


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
