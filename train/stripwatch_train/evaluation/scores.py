"""Scores of one frame, from which every figure follows by addition.

No probability map is kept. For each class and each threshold of a grid, a frame leaves one row for
each area that its connected components have; any minimum area is then a sum over rows.

**Components** are 8-connected, as in the daemon, and a minimum area applies to each component.
(Solutions of Kaggle's competition mostly drop the whole mask of a class with a small total area.)

**Thresholds** are compared with probabilities in steps of 1/255, as the graph hands them out. The
graph itself compares before it rounds: a pixel within half a step may fall on the other side.

**Overlap.** A found component is right when at least a tenth of its pixels lie on true pixels of
its class; a true component is found when at least a tenth of its pixels are covered by found pixels
of its class. A tenth is little on purpose: labels of steel are coarse, and on the line it counts
that the defect is reported at its place.

**Confusion.** Each pixel has one true class and one found class, or the background. Where the model
has softmax with a background channel, the found one is the most probable, with the background at
1 minus the sum of the classes: this is what published mIoU are made with. Otherwise it is the most
probable of the classes that reach their threshold there, and the background where none does. The
first of equals wins, the background first of all. Minimum areas play no part. Where true masks
overlap, a pixel counts as the found class if that is one of them, else as the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.defects import classes_of_frame, find_components
from stripwatch.wire.names import CLASSES_MAX
from stripwatch_train.evaluation.engine_runner import Prediction
from stripwatch_train.evaluation.score_settings import ScoreSettings, level_of

OVERLAP_PARTS = 10  # one such part of a component must be covered
LEVELS = 256

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]

_FIRST_CLASS = np.array(
    [0, *((bits & -bits).bit_length() for bits in range(1, 2**CLASSES_MAX))], np.uint8
)


@dataclass(frozen=True)
class ComponentTable:
    """Components of one class: a row for each frame, threshold and area; all int64 [rows]."""

    frame: Counts
    threshold: Counts  # index among the class's thresholds
    area: Counts  # pixels of each of these components
    count: Counts  # how many there are
    hit: Counts  # pixels of all of them that lie on true ones
    right: Counts  # how many are right


@dataclass(frozen=True)
class ClassScores:
    """One class in one frame."""

    components: Counts  # [rows, 5]; the columns of `ComponentTable` without the frame
    true_px: int
    peak: int  # largest probability * 255
    true_areas: Counts  # [n]; of the true components
    true_found: Counts  # [thresholds]; how many of them were found, with the minimum area
    level_px: Counts  # [256]; pixels by probability
    level_true_px: Counts  # [256]; those of them that are true
    found_px: int  # on the line: threshold, minimum area and gate
    wrong_px: int  # found and not true, or true and not found, on the line


@dataclass(frozen=True)
class FrameScores:
    """One frame."""

    classes: tuple[ClassScores, ...]
    confusion: Counts  # [1 + classes, 1 + classes]; true, found; the background first
    absent: NDArray[np.bool_]  # [classes]
    found: Bytes  # [lines, pixels], bit c-1; what the line would report

    @property
    def wrong_px(self) -> int:
        """Pixels in which the line would be wrong, over all classes."""
        return sum(entry.wrong_px for entry in self.classes)

    @property
    def dice(self) -> float:
        """The mean Dice of the classes on the line; 1 where one is neither there nor found."""
        values = []
        for entry in self.classes:
            total = entry.found_px + entry.true_px
            values.append((total - entry.wrong_px) / total if total else 1.0)
        return float(np.mean(values))


def score_frame(prediction: Prediction, truth: Bytes, settings: ScoreSettings) -> FrameScores:
    """Score one frame.

    Args:
        prediction: of the model.
        truth: [lines, pixels] with bit c-1 set where class c is.
        settings: of the measurement.
    """
    found = np.zeros_like(truth)
    absent = prediction.absent.astype(np.uint8)
    in_frame = classes_of_frame(settings.classes, settings.raised, absent)
    scores = []
    for index, entry in enumerate(in_frame):
        true = (truth & entry.bit) > 0
        measured, mask = _score_class(
            prediction.prob[index], true, settings.thresholds[index], settings.own[index], entry
        )
        scores.append(measured)
        found |= mask * np.uint8(entry.bit)
    confusion = _confusion(prediction.prob, truth, settings)
    return FrameScores(tuple(scores), confusion, prediction.absent, found)


def _score_class(
    plane: Bytes, true: NDArray[np.bool_], thresholds: tuple[float, ...], own: int, now: DefectClass
) -> tuple[ClassScores, Bytes]:
    """One class in one frame, and its mask on the line, 0 or 1."""
    level_px = np.bincount(plane.ravel(), minlength=LEVELS)
    peak = int(np.flatnonzero(level_px)[-1])
    truth = _Truth.of(true)
    true_found = np.zeros(len(thresholds), np.int64)
    mask = np.zeros(plane.shape, np.uint8)
    rows: list[Counts] = []
    window = _window(plane, level_of(thresholds[0]))
    inside, true_inside = plane[window], true[window]
    for step, threshold in enumerate(thresholds):
        level = level_of(threshold)
        if level > peak:
            break  # thresholds rise: nothing is found at the others, either
        found = find_components(inside >= level)
        area = found.stats[:, cv2.CC_STAT_AREA].astype(np.int64)
        hit = np.bincount(found.labels[true_inside], minlength=len(area))
        rows.append(_rows(step, area[1:], hit[1:]))
        kept = area >= max(now.min_area_px, 1)
        kept[0] = False  # the background
        if step == own or len(truth.areas):
            left = kept[found.labels]
            true_found[step] = truth.found(left, window)
            if step == own:
                mask[window] = left
    covered = mask.view(np.bool_)
    measured = ClassScores(
        components=np.concatenate(rows) if rows else np.zeros((0, 5), np.int64),
        true_px=int(true.sum()),
        peak=peak,
        true_areas=truth.areas,
        true_found=true_found,
        level_px=level_px,
        level_true_px=np.bincount(plane[true], minlength=LEVELS),
        found_px=int(covered.sum()),
        wrong_px=int((covered ^ true).sum()),
    )
    return measured, mask


@dataclass(frozen=True)
class _Truth:
    """The true components of one class in one frame."""

    labels: NDArray[np.int32] | None  # None: there are none
    areas: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, true: NDArray[np.bool_]) -> _Truth:
        """Label the components of a mask, bool [lines, pixels]."""
        if not true.any():
            return cls(None)
        found = find_components(true)
        return cls(found.labels, found.stats[1:, cv2.CC_STAT_AREA].astype(np.int64))

    def found(self, mask: NDArray[np.bool_], window: tuple[slice, slice]) -> int:
        """Number of them that a mask inside a window finds."""
        if self.labels is None:
            return 0
        covered = np.bincount(self.labels[window][mask], minlength=1 + len(self.areas))[1:]
        return int((covered * OVERLAP_PARTS >= self.areas).sum())


def _window(plane: Bytes, level: int) -> tuple[slice, slice]:
    """The part of the plane that holds all pixels of at least a level."""
    ends = []
    for axis in (1, 0):
        there = np.flatnonzero(plane.max(axis=axis) >= level)
        ends.append(slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0, 1))
    return ends[0], ends[1]


def _rows(step: int, area: Counts, hit: Counts) -> Counts:
    """The components at one threshold: a row for each area, so that noise has few rows, too."""
    areas, place, count = np.unique(area, return_inverse=True, return_counts=True)
    right = hit * OVERLAP_PARTS >= area
    rows = np.zeros((len(areas), 5), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = step, areas, count
    np.add.at(rows[:, 3], place, hit)
    np.add.at(rows[:, 4], place, right)
    return rows


def _confusion(prob: Bytes, truth: Bytes, settings: ScoreSettings) -> Counts:
    if settings.has_background:
        rest = 255 - prob.sum(axis=0, dtype=np.int16)
        found = np.argmax(np.concatenate([rest[np.newaxis], prob.astype(np.int16)]), axis=0)
    else:
        levels = np.array([level_of(entry.threshold) for entry in settings.classes], np.uint8)
        reached = np.where(prob >= levels[:, np.newaxis, np.newaxis], prob, np.uint8(0))
        found = np.where(reached.any(axis=0), np.argmax(reached, axis=0) + 1, 0)
    bit_of = np.array([0, *(entry.bit for entry in settings.classes)], np.uint8)
    true = np.where(truth & bit_of[found], found, _FIRST_CLASS[truth])
    count = 1 + len(prob)
    return np.bincount((true * count + found).ravel(), minlength=count**2).reshape(count, count)
