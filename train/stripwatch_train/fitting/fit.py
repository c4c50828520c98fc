"""Training of a recipe's models, one after the other, fold by fold.

The folder of the run decides what is left to do: a model that was exported is done, one with a
checkpoint resumes from it. The command that began a run therefore resumes it after a kill.
Under torchrun every process runs this; only the first writes.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress, ProgressBar
from stripwatch.wire.names import class_bit
from stripwatch_train.data.brightness import pixel_statistics
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.fingerprint import fingerprint
from stripwatch_train.data.folds import class_table
from stripwatch_train.data.images import image_shape
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet, Sample
from stripwatch_train.fitting.augment import seeded
from stripwatch_train.fitting.begin_run import FitSettings, _begin, _chosen, _members
from stripwatch_train.fitting.checkpoints import LAST
from stripwatch_train.fitting.epochs import Epochs
from stripwatch_train.fitting.export import (
    export_member,
    kind_of,
    make_card,
    some_images,
    view_of,
)
from stripwatch_train.fitting.extra_labels import near_duplicate_folds, teacher_files
from stripwatch_train.fitting.first_weights import Origin, begin_with, find_origin, known_frames
from stripwatch_train.fitting.frame_dataset import frame_shapes
from stripwatch_train.fitting.learner import Learner
from stripwatch_train.fitting.losses import balanced_weights
from stripwatch_train.fitting.trainer import check_accelerator, is_first_process, processes, train
from stripwatch_train.runs.deployment_files import write_deployments
from stripwatch_train.runs.recipe import Member, Recipe
from stripwatch_train.runs.run_folder import (
    MemberFile,
    RunFile,
    is_trained,
    mark_trained,
)

SCORE_TEXT = (
    "score: of the validation frames, the mean over the classes of the Dice of all pixels with a "
    "probability of 0.5 or more; of gates and classifiers, of frames. The epoch with the highest "
    "score is exported, of equal ones that with the lowest validation loss.\n"
)
ORIGIN_FRAMES = 32  # for the statistics that an ONNX file lacks
DISTORTION_MAX = 1.05  # one side against the other; more is said


@dataclass(frozen=True)
class _Run:
    """Data and settings that all models of a run share."""

    recipe: Recipe
    settings: FitSettings
    data_set: DataSet
    file: RunFile
    fold_of: NDArray[np.int64]  # of each sample
    clean: NDArray[np.bool_]  # of each sample
    taught: dict[str, Path]  # by sample name: files of a teacher's probabilities
    origins: dict[str, Origin]  # by model: from which it begins; none = from its recipe's weights
    pseudo: tuple[Sample, ...]
    pseudo_folds: list[frozenset[int]]  # of each of them the folds that it looks like


def fit(
    name: str,
    recipe: Recipe,
    settings: FitSettings,
    progress: Progress = lambda *_: None,
    prepared: Callable[[], None] = lambda: None,
) -> RunFile:
    """Train the models of a recipe that are not yet trained, and export them.

    Args:
        name: of the recipe, for the record.
        recipe: what to train.
        settings: on what, and where to.
        progress: called while the data are read, before the first epoch.
        prepared: called when the data are read and training begins, which prints for itself.

    Returns:
        The contents of run.json.

    Raises:
        ConfigError: the data cannot be used, or the folder holds another run.
        ModelError: a checkpoint is damaged.
        StorageError: the folder cannot be written.
    """
    check_accelerator(settings.accelerator)
    data_set, frame_shape = _open_data(settings, progress)
    class_names = tuple(entry.name for entry in data_set.classes)
    pseudo = open_data_set(settings.pseudo, class_names) if settings.pseudo else None
    brightness = pixel_statistics(data_set.samples, progress)
    if not brightness.std:
        raise ConfigError(f"{data_set.source}: all pixels are equal; there is nothing to train on")
    run = RunFile(
        recipe=name,
        data=str(settings.data.resolve()),
        classes=class_names,
        data_sha256=fingerprint(data_set, progress),
        frame_shape=frame_shape,
        mean=round(brightness.mean, 6),
        std=round(brightness.std, 6),
        members=tuple(_members(recipe, data_set)),
        teacher=settings.teacher.name if settings.teacher else "",
        pseudo=_record_of(settings.pseudo, pseudo, progress) if settings.pseudo and pseudo else "",
        begun_from=settings.begin_from.name if settings.begin_from else "",
    )
    taught = teacher_files(settings.teacher, data_set, recipe, progress)
    chosen = _chosen(run, settings.only)
    origins = _origins(settings, run, chosen)
    folds = _begin(recipe, run, settings, data_set, progress).fold_of
    fold_of = np.array([folds[sample.name] for sample in data_set.samples], np.int64)
    shared = _Run(
        recipe=recipe,
        settings=settings,
        data_set=data_set,
        file=run,
        fold_of=fold_of,
        clean=~np.asarray(class_table(data_set, progress).any(axis=1)),
        taught=taught,
        origins=origins,
        pseudo=pseudo.samples if pseudo else (),
        pseudo_folds=near_duplicate_folds(pseudo, data_set, fold_of, progress) if pseudo else [],
    )
    prepared()
    if is_first_process() and not all(is_trained(settings.output, entry) for entry in chosen):
        sys.stderr.write(SCORE_TEXT)
    for entry in chosen:
        if not is_trained(settings.output, entry):
            _fit_member(shared, entry)
    if is_first_process():
        write_deployments(settings.output, recipe, run, data_set)
    return run


def _origins(settings: FitSettings, run: RunFile, chosen: list[MemberFile]) -> dict[str, Origin]:
    """From which model each model begins that has no checkpoint yet."""
    if not settings.begin_from:
        return {}
    return {
        entry.name: find_origin(settings.begin_from, entry, run)
        for entry in chosen
        if not (settings.output / entry.name / LAST).exists()
    }


def _open_data(settings: FitSettings, progress: Progress) -> tuple[DataSet, tuple[int, int]]:
    """The data set, and the shape of most of its frames; remarks on both are printed."""
    progress("the data set", 0, 0)
    data_set = open_data_set(settings.data, settings.classes)
    for finding in data_set.findings:
        sys.stderr.write(f"{finding}\n")
    if is_first_process():
        sys.stderr.write(f"{data_set.source}: reading {len(data_set.samples)} frames\n")
    shapes = frame_shapes(data_set.samples)
    if shapes.others and is_first_process():
        lines, pixels = shapes.chosen
        words = f"{shapes.others} of them are resized to {lines} x {pixels} (lines x pixels)"
        if shapes.distortion > DISTORTION_MAX:
            most = "x".join(map(str, shapes.largest))
            words += (
                f", which stretches one side against the other by up to {shapes.distortion:.2g} "
                "times; to keep their shapes, pad them before: stripwatch-train convert "
                f"{settings.data} --frame {most} --output FOLDER (with the size of the line's "
                "frames it also cuts them)"
            )
        sys.stderr.write(f"{words}\n")
    return data_set, shapes.chosen


def _record_of(path: Path, data_set: DataSet, progress: Progress) -> str:
    """Name and fingerprint of a data set for run.json, without its path."""
    return f"{path.name}, sha256 {fingerprint(data_set, progress)[:16]}"


def _fit_member(run: _Run, entry: MemberFile) -> None:
    """Train one model and export it."""
    view = view_of(run.recipe, run.file, entry)
    member = view.member
    inside = np.flatnonzero(run.fold_of != entry.fold)
    labelled = [run.data_set.samples[index] for index in inside]
    pseudo = _pseudo(run, entry.fold)
    training = [*labelled, *pseudo]
    # Members of an ensemble with equal settings start from different weights.
    seed = zlib.crc32(f"{run.recipe.seed} {entry.name}".encode())
    epochs = Epochs(
        training=training,
        validation=[run.data_set.samples[i] for i in np.flatnonzero(run.fold_of == entry.fold)],
        clean=np.concatenate([run.clean[inside], np.zeros(len(pseudo), np.bool_)]),
        pseudo=np.arange(len(training)) >= len(labelled),
        view=view,
        seed=seed,
        taught=[run.taught.get(sample.name) for sample in labelled] + [None] * len(pseudo),
        workers=run.settings.workers,
    )
    steps = epochs.steps_per_epoch(processes()[0]) * member.schedule.epochs
    with seeded(seed):  # the same weights to begin with, on every machine
        names, weights = _scored_names(run.file, entry), _class_weights(run, member, labelled)
        model = Learner(member, view.outputs, names, weights, steps, seed)
    folder = run.settings.output / entry.name
    if entry.name in run.origins:
        _begin_with_origin(run, entry, model, labelled)
    train(model, epochs, member, folder, run.settings.accelerator)
    if is_first_process():
        kind = kind_of(run.data_set, run.file)
        card = make_card(view, run.file, run.recipe.classes, run.settings.command, kind)
        export_member(folder, view, card, run.data_set)
        mark_trained(run.settings.output, entry)


def _begin_with_origin(run: _Run, entry: MemberFile, model: Learner, frames: list[Sample]) -> None:
    """Give the network its first weights, and say which, and which frames are known to them."""
    origin = run.origins[entry.name]
    view = view_of(run.recipe, run.file, entry)

    def images() -> Tensor:
        return some_images(view, frames, ORIGIN_FRAMES)

    said = [begin_with(origin, model.network, _scored_names(run.file, entry), images)]
    left_out = [
        sample.name
        for sample, fold in zip(run.data_set.samples, run.fold_of, strict=True)
        if fold == entry.fold
    ]
    if known := known_frames(origin, left_out):
        said.append(
            f"{len(known)} of the {len(left_out)} validation frames have the names of frames that "
            "it was trained on: if they are the same, the scores here are too high; give its "
            "folds with --folds"
        )
    if is_first_process():
        sys.stderr.write("".join(f"{entry.name}: {text}\n" for text in said))


def _pseudo(run: _Run, fold: int) -> list[Sample]:
    """The pseudo-labelled frames without a near-duplicate in a fold."""
    pairs = zip(run.pseudo, run.pseudo_folds, strict=True)
    kept = [sample for sample, folds in pairs if fold not in folds]
    left_out = len(run.pseudo) - len(kept)
    if left_out and is_first_process():
        sys.stderr.write(
            f"{run.settings.pseudo}: {left_out} of {len(run.pseudo)} frames are near-duplicates of "
            f"validation frames of fold {fold} and are left out\n"
        )
    if run.pseudo and not kept:
        raise ConfigError(
            f"--pseudo {run.settings.pseudo}: all its frames are near-duplicates of validation "
            "frames of this run; label new ones"
        )
    return kept


def _scored_names(run: RunFile, entry: MemberFile) -> tuple[str, ...]:
    if entry.role == "gate":
        return ("defect",)
    return (run.classes[entry.class_id - 1],) if entry.class_id else run.classes


def _class_weights(run: _Run, member: Member, labelled: list[Sample]) -> tuple[float, ...]:
    weights = member.loss.class_weights
    if weights != "balanced":
        return weights
    count = len(run.file.classes)
    pixels = np.zeros(1 + count)
    with ProgressBar() as progress:
        for done, sample in enumerate(labelled):
            progress.show("masks weighed", done, len(labelled))
            mask = load_mask(sample, image_shape(sample.image))
            pixels[0] += np.count_nonzero(mask == 0)
            pixels[1:] += [np.count_nonzero(mask & class_bit(c)) for c in range(1, count + 1)]
    return balanced_weights(pixels / pixels.sum())
