"""Beginning of a run: its list of models, its folds and its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch_train.data.folds import FoldFile, load_folds, make_folds, save_folds
from stripwatch_train.data.samples import DataSet
from stripwatch_train.fitting.trainer import is_first_process
from stripwatch_train.runs.recipe import Recipe
from stripwatch_train.runs.run_folder import (
    FOLDS_NAME,
    RECIPE_NAME,
    MemberFile,
    RunFile,
    is_run,
    load_run,
    save_run,
)


@dataclass(frozen=True)
class FitSettings:
    """Data, folder and other inputs of a run, besides its recipe."""

    data: Path
    output: Path
    classes: tuple[str, ...] | None = None
    folds: Path | None = None  # file of `stripwatch-train folds`; None = made here
    teacher: Path | None = None  # folder of `stripwatch-train predict --soft`
    pseudo: Path | None = None  # data set of pseudo-labels
    only: tuple[str, ...] = ()  # members, or models by their folders; () = all
    workers: int = 0  # processes that load frames
    accelerator: str = "auto"
    command: str = ""


def _chosen(run: RunFile, only: tuple[str, ...]) -> list[MemberFile]:
    """The models to train now."""
    known = {name for entry in run.members for name in (entry.name, entry.recipe_name)}
    unknown = set(only) - known
    if unknown:
        raise ConfigError(
            f"--only {', '.join(sorted(unknown))}: the recipe has {', '.join(sorted(known))}"
        )
    return [
        entry
        for entry in run.members
        if not only or entry.name in only or entry.recipe_name in only
    ]


def _members(recipe: Recipe, data_set: DataSet) -> Iterator[MemberFile]:
    """The models to train: for each fold all members, those of one class for each class."""
    for fold in recipe.train_folds:
        for member in recipe.members:
            ids = [entry.id for entry in data_set.classes] if member.per_class else [None]
            for class_id in ids:
                own = f"-class{class_id}" if class_id else ""
                yield MemberFile(
                    name=f"{member.name}{own}-fold{fold}",
                    role=member.role,
                    fold=fold,
                    class_id=class_id,
                )


def _begin(recipe: Recipe, run: RunFile, settings: FitSettings, data_set: DataSet) -> FoldFile:
    """Make the folder of the run, or check that it holds this very run."""
    folder = settings.output
    recipe_path, folds_path = folder / RECIPE_NAME, folder / FOLDS_NAME
    wanted = msgspec.json.format(msgspec.json.encode(recipe), indent=2) + b"\n"
    if is_run(folder):
        before = load_run(folder)
        moved = msgspec.structs.replace(before, data=run.data)  # the same data, elsewhere
        if moved != run or not recipe_path.is_file() or recipe_path.read_bytes() != wanted:
            what = "other settings" if before.data_sha256 == run.data_sha256 else "other data"
            raise ConfigError(
                f"{folder}: holds a run with {what}; resume it with the command that began it, "
                "give another --output, or remove it"
            )
        folds = load_folds(folds_path, data_set)[0]
        if settings.folds and load_folds(settings.folds, data_set)[0].fold_of != folds.fold_of:
            raise ConfigError(
                f"{settings.folds}: has other folds than {folds_path}, with which this run began; "
                "leave it out, or give another --output"
            )
        if before != run and is_first_process():
            save_run(folder, run)  # where the data are now
        return folds
    folds = _folds(recipe, settings, data_set)
    if is_first_process():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(recipe_path, wanted)
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
        save_folds(folds_path, folds)
        save_run(folder, run)  # last: a folder with a run.json is complete
    return folds


def _folds(recipe: Recipe, settings: FitSettings, data_set: DataSet) -> FoldFile:
    if not settings.folds:
        return make_folds(data_set, recipe.folds, recipe.seed)
    folds, _ = load_folds(settings.folds, data_set)
    if folds.folds != recipe.folds:
        raise ConfigError(
            f"{settings.folds}: has {folds.folds} folds, the recipe {recipe.folds}; give --set "
            f"folds={folds.folds}"
        )
    return folds
