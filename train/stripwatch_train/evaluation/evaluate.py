"""Evaluation of a model on labelled frames, frame by frame."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_engine.models.composition import Role
from stripwatch_train.data.images import image_shape, load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet, Sample
from stripwatch_train.evaluation.predictor import Predictor, open_predictor
from stripwatch_train.evaluation.presence import ANY_DEFECT, PresenceScores
from stripwatch_train.evaluation.score_settings import ScoreSettings
from stripwatch_train.evaluation.scores import (
    LEVELS,
    Bytes,
    ComponentTable,
    Counts,
    FrameScores,
    score_frame,
)
from stripwatch_train.runs.run_folder import validation_parts

FRAMES_SHOWN = 8  # of each kind, on the page


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame that the page shows: one of the worst, of the best, or an ordinary one."""

    sample: Sample
    dice: float  # mean over the classes
    wrong_px: int
    found: Bytes  # [lines, pixels], bit c-1; what the line would report
    truth: Bytes


@dataclass
class Scores:
    """Scores of all frames so far; the memory for each frame is bounded."""

    settings: ScoreSettings
    names: list[str] = field(default_factory=list)  # of the frames
    folds: list[int] = field(default_factory=list)  # of each frame; 0 where there is but one
    shown: int = FRAMES_SHOWN  # frames of each kind that are kept
    worst: list[ShownFrame] = field(default_factory=list)  # the worst first
    best: list[ShownFrame] = field(default_factory=list)  # of those with a defect, the best first
    ordinary: list[ShownFrame] = field(default_factory=list)  # chosen by a hash of their names
    frame_px_max: int = 0  # pixels of the largest frame
    lines: list[int] = field(default_factory=list)  # of each frame
    presence: dict[Role, PresenceScores] = field(default_factory=dict)  # of gates and classifiers

    def __post_init__(self) -> None:
        """Set all counts to 0."""
        count = len(self.settings.classes)
        self.confusion: Counts = np.zeros((1 + count, 1 + count), np.int64)
        self.level_px: Counts = np.zeros((count, LEVELS), np.int64)
        self.level_true_px: Counts = np.zeros((count, LEVELS), np.int64)
        # By class: how many of the true components were found at each of its thresholds.
        self.true_found = [np.zeros(len(entry), np.int64) for entry in self.settings.thresholds]
        self._true_areas: list[list[Counts]] = [[] for _ in range(count)]
        self._components: list[list[NDArray[np.int32]]] = [
            [] for _ in range(count)
        ]  # with the frame
        self._rows: list[tuple[list[int], list[int], NDArray[np.bool_]]] = []

    def add(self, sample: Sample, fold: int, truth: Bytes, frame: FrameScores) -> None:
        """Add one frame."""
        number = len(self.names)
        self.names.append(sample.name)
        self.folds.append(fold)
        self.lines.append(truth.shape[0])
        self.frame_px_max = max(self.frame_px_max, truth.size)
        self.confusion += frame.confusion
        for index, entry in enumerate(frame.classes):
            self.level_px[index] += entry.level_px
            self.level_true_px[index] += entry.level_true_px
            self.true_found[index] += entry.true_found
            self._true_areas[index].append(entry.true_areas)
            frame_column = np.full((len(entry.components), 1), number)
            rows = np.concatenate([frame_column, entry.components], axis=1).astype(np.int32)
            self._components[index].append(rows)
        true_px = [entry.true_px for entry in frame.classes]
        self._rows.append((true_px, [entry.peak for entry in frame.classes], frame.absent))
        self._keep(ShownFrame(sample, frame.dice, frame.wrong_px, frame.found, truth))

    def _keep(self, frame: ShownFrame) -> None:
        """Keep the frame where it is among those that are shown."""
        kinds: list[tuple[list[ShownFrame], Callable[[ShownFrame], Any]]] = [
            (self.worst, lambda entry: (entry.dice, -entry.wrong_px, entry.sample.name)),
            (self.ordinary, lambda entry: zlib.crc32(entry.sample.name.encode())),
        ]
        if frame.truth.any():
            kinds.append(
                (self.best, lambda entry: (-entry.dice, entry.wrong_px, entry.sample.name))
            )
        for kept, key in kinds:
            kept.append(frame)
            kept.sort(key=key)
            del kept[self.shown :]

    @property
    def true_px(self) -> Counts:
        """True pixels, [frames, classes]."""
        return self._column(0, np.int64)

    @property
    def peaks(self) -> Counts:
        """Largest probability * 255, [frames, classes]."""
        return self._column(1, np.int64)

    @property
    def absent(self) -> Counts:
        """1 where a gate classifies a class as absent, [frames, classes]."""
        return self._column(2, np.int64)

    def true_areas(self, index: int) -> Counts:
        """Pixels of each true component of a class, by its place among the classes."""
        return np.concatenate([np.zeros(0, np.int64), *self._true_areas[index]])

    def components(self, index: int) -> ComponentTable:
        """The found components of a class at all thresholds, by its place among the classes."""
        if len(self._components[index]) != 1:  # joined once, when nothing is added any more
            self._components[index] = [
                np.concatenate([np.zeros((0, 6), np.int32), *self._components[index]])
            ]
        return ComponentTable(*self._components[index][0].astype(np.int64).T)

    def _column(self, place: int, kind: type[np.int64]) -> Counts:
        rows = [row[place] for row in self._rows]
        return np.array(rows, kind).reshape(len(rows), len(self.settings.classes))


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    classes: Sequence[DefectClass],
    scores: Scores | None = None,
    *,
    fold: int = 0,
    shown: int = FRAMES_SHOWN,
    progress: Progress = lambda *_: None,
) -> Scores:
    """Evaluate a model on labelled frames.

    Args:
        predictor: the model.
        samples: the frames.
        classes: of the labels.
        scores: to add to, as out-of-fold predictions are joined; None = new ones.
        fold: of the frames.
        shown: frames of each kind that are kept to be shown.
        progress: called after each frame.

    Raises:
        ConfigError: there are no frames; the labels have other classes; the thresholds, minimum
            areas or gates are others than those of `scores`; an image or mask cannot be used.
        ModelError: the model cannot be run.
        DeviceError: its device is missing or fails.
    """
    if not samples:
        raise ConfigError(f"{predictor.name}: there are no frames to evaluate it on")
    _check_classes(predictor, classes)
    settings = ScoreSettings(predictor.classes, predictor.gate, predictor.has_background)
    if scores is None:
        scores = Scores(settings, shown=shown)
    elif settings != scores.settings:
        raise ConfigError(
            f"{predictor.name}: its thresholds, minimum areas or gate are others than those of the "
            "folds before it, so that their figures cannot be joined; `stripwatch-train tune` "
            "writes the same into all models of a run"
        )
    # By size, as each size needs its own engine.
    ordered = sorted(samples, key=lambda sample: image_shape(sample.image))
    frames = (load_image(sample) for sample in ordered)
    predictions = predictor.predictions(frames)
    for done, (sample, prediction) in enumerate(zip(ordered, predictions, strict=True), 1):
        lines, pixels = prediction.prob.shape[1:]
        truth = load_mask(sample, (lines, pixels))
        _add_presence(predictor, scores, sample, truth)
        scores.add(sample, fold, truth, score_frame(prediction, truth, settings))
        progress(f"frames of {predictor.name}", done, len(ordered))
    return scores


def _add_presence(predictor: Predictor, scores: Scores, sample: Sample, truth: Bytes) -> None:
    """Add what gates and classifiers say of a frame."""
    for models in predictor.presence:
        role = models.role
        if role not in scores.presence:
            classes = tuple(entry.name for entry in scores.settings.classes)
            names = (ANY_DEFECT,) if role == "gate" else classes
            scores.presence[role] = PresenceScores(role, names, models.thresholds())
        probability = models.probability(load_image(sample))
        scores.presence[role].add(probability, truth, scores.settings.classes)


def evaluate_run(
    folder: Path,
    progress: Progress = lambda *_: None,
    *,
    same_limits: bool = False,
    shown: int = FRAMES_SHOWN,
) -> tuple[DataSet, Scores]:
    """Evaluate a training run on its own data: each fold by the models not trained on it.

    Args:
        folder: of the run.
        progress: called after each frame.
        same_limits: measure all folds with the thresholds and minimum areas of the first, whatever
            their own cards hold: for tuning, which writes the same values into all of them.
        shown: frames of each kind that are kept to be shown.

    Raises:
        ConfigError: as `evaluate`; or the run cannot be read, or has no model yet.
        ModelError: as `evaluate`.
        DeviceError: as `evaluate`.
    """
    data_set, parts = validation_parts(folder)
    scores: Scores | None = None
    for part in parts:
        progress("the models", 0, 0)
        with open_predictor(part.deployment) as predictor:
            if same_limits and scores is not None:
                _check_classes(predictor, scores.settings.classes)
                predictor.classes = scores.settings.classes
            scores = evaluate(
                predictor,
                part.samples,
                data_set.classes,
                scores,
                fold=part.fold,
                shown=shown,
                progress=progress,
            )
    assert scores is not None, "a run has parts"
    return data_set, scores


def _check_classes(predictor: Predictor, classes: Sequence[DefectClass]) -> None:
    segmented = [entry.name for entry in predictor.classes]
    labelled = [entry.name for entry in classes]
    if segmented != labelled:
        raise ConfigError(
            f"{predictor.name} segments {', '.join(segmented)}, but the labels are of "
            f"{', '.join(labelled)}; if these are the same classes in the same order, give "
            f"--classes {','.join(segmented)}"
        )
