"""Composition files of a run: all of its models, and by fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch_train.fitting.recipe import Recipe
from stripwatch_train.fitting.run_folder import (
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
    try:
        for path, members in wanted.items():
            if any(member.role == "segmentation" for member in members):
                write_whole(path, _composition(recipe, members).encode())
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error


def _composition(recipe: Recipe, members: Sequence[MemberFile]) -> str:
    def paths(role: str, class_id: int | None = None) -> str:
        names = [
            f'"{member.name}/{MODEL_NAME}"'
            for member in members
            if (member.role, member.class_id) == (role, class_id)
        ]
        return f"[{', '.join(names)}]"

    settings = recipe.deployment
    lines = [
        f"models = {paths('segmentation')}",
        f"flip = {str(settings.flip).lower()}",
        f"gate = {paths('gate')}",
        f"classifier = {paths('classifier')}",
        f'gate_mode = "{settings.gate_mode}"',
        f"min_area_factor = {settings.min_area_factor}",
        "",
        "[class_models]",
    ]
    ids = sorted({member.class_id for member in members if member.class_id})
    lines += [f"{class_id} = {paths('segmentation', class_id)}" for class_id in ids]
    return "\n".join(lines) + "\n"
