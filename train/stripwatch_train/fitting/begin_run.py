"""Beginning of a run: its list of models, its folds and its folder."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import Progress
from stripwatch_train.data.folds import FoldFile, load_folds, make_folds, save_folds
from stripwatch_train.data.samples import DataSet
from stripwatch_train.fitting.checkpoints import LAST
from stripwatch_train.fitting.trainer import is_first_process
from stripwatch_train.runs.recipe import Recipe
from stripwatch_train.runs.recipe_files import load_recipe
from stripwatch_train.runs.run_folder import (
    FOLDS_NAME,
    RECIPE_NAME,
    TRAINED_NAME,
    MemberFile,
    RunFile,
    is_run,
    load_run,
    save_run,
)

NAMED_MAX = 8  # settings that differ, in a message
KNOWN_MAX = 12  # models that a message lists by fold, too


@dataclass(frozen=True)
class FitSettings:
    """Data, folder and other inputs of a run, besides its recipe."""

    data: Path
    output: Path
    classes: tuple[str, ...] | None = None
    folds: Path | None = None  # file of `stripwatch-train folds`; None = made here
    teacher: Path | None = None  # folder of `stripwatch-train predict --soft`
    pseudo: Path | None = None  # data set of pseudo-labels
    begin_from: Path | None = None  # run or model; None = from the recipe's weights
    only: tuple[str, ...] = ()  # members, or models by their folders; () = all
    workers: int = 0  # processes that load frames
    accelerator: str = "auto"
    command: str = ""


def _chosen(run: RunFile, only: tuple[str, ...]) -> list[MemberFile]:
    """The models to train now."""
    members = {entry.recipe_name for entry in run.members}
    known = sorted({entry.name for entry in run.members} | members)
    for name in sorted(set(only) - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        shown = sorted(members if len(known) > KNOWN_MAX else known)
        hint = f"did you mean {near[0]}?" if near else f"the recipe has {', '.join(shown)}"
        folds = ", each also with -foldN" if shown != known and not near else ""
        raise ConfigError(f"--only {name}: there is no such model; {hint}{folds}")
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


def _begin(
    recipe: Recipe,
    run: RunFile,
    settings: FitSettings,
    data_set: DataSet,
    progress: Progress = lambda *_: None,
) -> FoldFile:
    """Make the folder of the run, or check that it holds this very run.

    A run of which nothing is trained yet is begun anew: a start that failed does not block the
    settings that mend it. Epochs and patience of a run may change, epochs to more.
    """
    folder = settings.output
    recipe_path, folds_path = folder / RECIPE_NAME, folder / FOLDS_NAME
    if is_run(folder) and is_begun(folder):
        before = load_run(folder)
        _check_same(folder, before, run, recipe)
        folds = load_folds(folds_path, data_set)[0]
        if settings.folds and load_folds(settings.folds, data_set)[0].fold_of != folds.fold_of:
            raise ConfigError(
                f"{settings.folds}: has other folds than {folds_path}, with which this run began; "
                "leave it out, or give another --output"
            )
        if is_first_process():
            _extend(folder, run, recipe)
            if before != run:
                save_run(folder, run)  # where the data are now
        return folds
    folds = _folds(recipe, settings, data_set, progress)
    if is_first_process():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(recipe_path, _encoded(recipe))
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
        save_folds(folds_path, folds)
        save_run(folder, run)  # last: a folder with a run.json is complete
    return folds


def is_begun(folder: Path) -> bool:
    """Whether a run has a checkpoint of any model."""
    return any((folder / entry.name / LAST).exists() for entry in load_run(folder).members)


def _encoded(recipe: Recipe) -> bytes:
    return msgspec.json.format(msgspec.json.encode(recipe), indent=2) + b"\n"


def _check_same(folder: Path, before: RunFile, run: RunFile, recipe: Recipe) -> None:
    """Refuse to resume a run with other data or settings, and name them."""
    moved = msgspec.structs.replace(before, data=run.data)  # the same data, elsewhere
    if before.data_sha256 != run.data_sha256:
        raise ConfigError(
            f"{folder}: holds a run with other data; resume it with the command that began it, "
            "give another --output, or remove it"
        )
    old, new = _flat(load_recipe(str(folder / RECIPE_NAME))), _flat(recipe)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    fixed = [key for key in changed if not _may_change(key, old.get(key), new.get(key))]
    words = [f"{key} is {old.get(key)} there and {new.get(key)} here" for key in fixed]
    if not words and moved != run:
        pairs = zip(_run_keys(moved).items(), _run_keys(run).values(), strict=True)
        words = [f"{key} is {old} there and {new} here" for (key, old), new in pairs if old != new]
    if words:
        more = "; only schedule.epochs (to more) and schedule.patience may change"
        raise ConfigError(
            f"{folder}: holds a run with other settings: {'; '.join(words[:NAMED_MAX])}"
            f"{f'; and {len(words) - NAMED_MAX} more' if len(words) > NAMED_MAX else ''}; resume "
            f"it with the command that began it, give another --output, or remove it{more}"
        )


def _run_keys(run: RunFile) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(run)
    table["members"] = ", ".join(entry["name"] for entry in table["members"])
    return table


def _flat(recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe by key, those of members below their names."""
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:  # noqa: ANN401 - of any type of JSON
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            found[prefix] = value

    table = msgspec.to_builtins(recipe)
    members = table.pop("members")
    walk("", table)
    for member in members:
        walk(member["name"], member)
    return found


def _may_change(key: str, old: Any, new: Any) -> bool:  # noqa: ANN401 - of any type of JSON
    if key.endswith(".schedule.epochs"):
        return None not in (old, new) and bool(new > old)
    return key == "about" or key.endswith(".schedule.patience")


def _extend(folder: Path, run: RunFile, recipe: Recipe) -> None:
    """Write a recipe with more epochs or another patience; its trained models are resumed."""
    old, new = _flat(load_recipe(str(folder / RECIPE_NAME))), _flat(recipe)
    if old == new:
        return
    try:
        for entry in run.members:
            keys = (f"{entry.recipe_name}.schedule.{name}" for name in ("epochs", "patience"))
            if any(old[key] != new[key] for key in keys):
                (folder / entry.name / TRAINED_NAME).unlink(missing_ok=True)
        write_whole(folder / RECIPE_NAME, _encoded(recipe))
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error


def _folds(
    recipe: Recipe, settings: FitSettings, data_set: DataSet, progress: Progress
) -> FoldFile:
    if not settings.folds:
        return make_folds(data_set, recipe.folds, recipe.seed, progress=progress)
    folds, _ = load_folds(settings.folds, data_set)
    if folds.folds != recipe.folds:
        raise ConfigError(
            f"{settings.folds}: has {folds.folds} folds, the recipe {recipe.folds}; give --set "
            f"folds={folds.folds}"
        )
    return folds
