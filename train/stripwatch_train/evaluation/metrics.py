"""The figures that follow from what was measured in each frame.

**Kaggle's mean Dice** is the mean of 2 |A and B| / (|A| + |B|) over all pairs of a frame and a
class, and 1 where both are empty. As most pairs are empty, finding nothing at all scores high: that
floor stands beside it, and only what is above it was earned.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.defects import raise_min_areas
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.scores import LEVELS, Counts, Pieces

BINS = 10  # of probabilities, for calibration
SEEN = 0.05  # least probability of the pixels of which the second calibration error is
BACKGROUND = "background"

Reals = NDArray[np.float64]


class ClassMetrics(msgspec.Struct, frozen=True):
    """One class, with its threshold and minimum area on the line; None = cannot be said."""

    name: str
    threshold: float
    min_area_px: int
    frames_with: int
    frames_missed: int  # of those: nothing of the class was found
    frames_false: int  # frames without the class in which some was found
    kaggle_dice: float  # mean over all frames
    kaggle_dice_of_nothing: float  # what finding nothing scores
    dice_of_frames_with: float | None  # mean over the frames that have the class
    dice_px: float | None  # of all pixels of all frames together
    iou_px: float | None
    defects: int  # true pieces
    defects_found: int
    found: int  # pieces
    found_right: int
    recall: float | None  # of true pieces
    precision: float | None  # of found pieces
    auc_peak: float | None  # frames with and without the class, by the largest probability
    auc_area: float | None  # by the largest piece
    calibration_error: float  # expected, over all pixels
    calibration_error_seen: float | None  # over those of a probability of at least SEEN


class Metrics(msgspec.Struct, frozen=True):
    """All figures."""

    frames: int
    frames_with_defects: int
    frames_false: int  # without defects, and some were found
    frames_missed: int  # with defects, and none were found
    kaggle_dice: float
    kaggle_dice_of_nothing: float
    miou: float  # mean IoU of the background and all classes; see scores, confusion
    iou: dict[str, float | None]
    confusion_by: str  # how a pixel's class was found
    confusion_px: list[list[int]]  # [true][found]; the background first
    auc_peak: float | None  # frames with and without any defect
    auc_area: float | None
    classes: list[ClassMetrics]


def measure(scores: Scores) -> Metrics:
    """All figures of what was measured."""
    tables = [ClassTable(scores, index) for index in range(len(scores.settings.classes))]
    classes = [_class_metrics(table) for table in tables]
    iou = iou_of(scores.confusion)
    names = [BACKGROUND, *(entry.name for entry in scores.settings.classes)]
    has_defect = scores.true_px.sum(axis=1) > 0
    reported = np.any([table.own_sums()[0] > 0 for table in tables], axis=0)
    largest = np.max([table.largest() for table in tables], axis=0)
    by_softmax = scores.settings.has_background
    return Metrics(
        frames=len(scores.names),
        frames_with_defects=int(has_defect.sum()),
        frames_false=int((reported & ~has_defect).sum()),
        frames_missed=int((has_defect & ~reported).sum()),
        kaggle_dice=float(np.mean([entry.kaggle_dice for entry in classes])),
        kaggle_dice_of_nothing=float(np.mean([entry.kaggle_dice_of_nothing for entry in classes])),
        miou=float(np.nanmean(iou)),
        iou={name: _known(value) for name, value in zip(names, iou.tolist(), strict=True)},
        confusion_by="argmax" if by_softmax else "threshold",
        confusion_px=scores.confusion.tolist(),
        auc_peak=auc(roc(scores.peaks.max(axis=1), has_defect)),
        auc_area=auc(roc(largest, has_defect)),
        classes=classes,
    )


class ClassTable:
    """One class in all frames, ready to be summed at any threshold and minimum area."""

    def __init__(self, scores: Scores, index: int) -> None:
        """Take a class by its place among the classes."""
        self.scores = scores
        self.index = index
        self.entry = scores.settings.classes[index]
        self.thresholds = scores.settings.thresholds[index]
        self.own = scores.settings.own[index]
        self.true_px = scores.true_px[:, index]
        self.peaks = scores.peaks[:, index]
        self._absent = scores.absent[:, index] > 0
        pieces = scores.pieces(index)
        self._steps = [_rows_of(pieces, step) for step in range(len(self.thresholds))]

    def sums(self, step: int, min_area_px: int) -> tuple[Counts, Counts]:
        """Pixels found in each frame, and those of them that are true, int64 [frames].

        Args:
            step: place of the threshold among the class's.
            min_area_px: of each piece; raised where a gate judges the class absent.
        """
        pieces = self._steps[step]
        kept = pieces.area >= self._limits(min_area_px)[pieces.frame]
        frame, count = pieces.frame[kept], len(self.true_px)
        area = np.bincount(frame, pieces.area[kept] * pieces.count[kept], count)
        hit = np.bincount(frame, pieces.hit[kept], count)
        return area.astype(np.int64), hit.astype(np.int64)

    def own_sums(self) -> tuple[Counts, Counts]:
        """The same with the threshold and the minimum area of the line."""
        return self.sums(self.own, self.entry.min_area_px)

    def dice(self, step: int, min_area_px: int) -> Reals:
        """Kaggle's Dice of each frame, float64 [frames]."""
        found, hit = self.sums(step, min_area_px)
        return dice_of(found, hit, self.true_px)

    def found_pieces(self, step: int, min_area_px: int) -> tuple[int, int]:
        """How many pieces are found in all frames, and how many of them are right."""
        pieces = self._steps[step]
        kept = pieces.area >= self._limits(min_area_px)[pieces.frame]
        return int(pieces.count[kept].sum()), int(pieces.right[kept].sum())

    def own_areas(self) -> tuple[Counts, Counts]:
        """Pixels of each piece at the threshold of the line, before the minimum area is applied.

        Those that are right, and those that are not.
        """
        pieces = self._steps[self.own]
        wrong = pieces.count - pieces.right
        return np.repeat(pieces.area, pieces.right), np.repeat(pieces.area, wrong)

    def largest(self) -> Counts:
        """Pixels of the largest piece of each frame at the threshold of the line."""
        pieces = self._steps[self.own]
        largest = np.zeros(len(self.true_px), np.int64)
        np.maximum.at(largest, pieces.frame, pieces.area)
        return largest

    def _limits(self, min_area_px: int) -> Counts:
        """The least area in each frame."""
        entry = msgspec.structs.replace(self.entry, min_area_px=min_area_px)
        (raised,) = raise_min_areas((entry,), self.scores.settings.gate)
        return np.maximum(np.where(self._absent, raised.min_area_px, min_area_px), 1)


def _rows_of(pieces: Pieces, step: int) -> Pieces:
    here = pieces.threshold == step
    return Pieces(
        pieces.frame[here],
        pieces.threshold[here],
        pieces.area[here],
        pieces.count[here],
        pieces.hit[here],
        pieces.right[here],
    )


def _class_metrics(table: ClassTable) -> ClassMetrics:
    entry, scores, index = table.entry, table.scores, table.index
    found, hit = table.own_sums()
    dice = dice_of(found, hit, table.true_px)
    there = table.true_px > 0
    pieces, right = table.found_pieces(table.own, entry.min_area_px)
    defects = len(scores.true_areas(index))
    defects_found = int(scores.true_found[index][table.own])
    found_px, hit_px, true_px = int(found.sum()), int(hit.sum()), int(table.true_px.sum())
    level_px, level_true_px = scores.level_px[index], scores.level_true_px[index]
    return ClassMetrics(
        name=entry.name,
        threshold=entry.threshold,
        min_area_px=entry.min_area_px,
        frames_with=int(there.sum()),
        frames_missed=int((there & (found == 0)).sum()),
        frames_false=int((~there & (found > 0)).sum()),
        kaggle_dice=float(dice.mean()),
        kaggle_dice_of_nothing=float((~there).mean()),
        dice_of_frames_with=_share(float(dice[there].sum()), int(there.sum())),
        dice_px=_share(2 * hit_px, found_px + true_px),
        iou_px=_share(hit_px, found_px + true_px - hit_px),
        defects=defects,
        defects_found=defects_found,
        found=pieces,
        found_right=right,
        recall=_share(defects_found, defects),
        precision=_share(right, pieces),
        auc_peak=auc(roc(table.peaks, there)),
        auc_area=auc(roc(table.largest(), there)),
        calibration_error=calibration_error(level_px, level_true_px) or 0.0,
        calibration_error_seen=calibration_error(level_px, level_true_px, SEEN),
    )


def dice_of(found: Counts, hit: Counts, true: Counts) -> Reals:
    """Kaggle's Dice of each frame, from its pixels: found, found and true, true."""
    total = found + true
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)


def iou_of(confusion: Counts) -> Reals:
    """Intersection over union of each class of a confusion matrix; NaN where it is nowhere."""
    both = np.diag(confusion).astype(np.float64)
    either = confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


@dataclass(frozen=True)
class Roc:
    """The share of frames without and with it that are reported, as the limit falls."""

    false: Reals  # of those without
    true: Reals  # of those with


def roc(values: Counts, there: NDArray[np.bool_]) -> Roc | None:
    """The curve of a score, higher where it is more likely there.

    Frames of equal scores are reported together. None where all frames have it, or none.
    """
    if there.all() or not there.any():
        return None
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # of equal scores
    true = np.cumsum(there[order])[last]
    false = 1 + last - true
    return Roc(np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]])


def auc(curve: Roc | None) -> float | None:
    """The area below it: how often a frame with it scores above one without, ties counting half."""
    if curve is None:
        return None
    return float(np.trapezoid(curve.true, curve.false))


@dataclass(frozen=True)
class Reliability:
    """Predicted probability and observed frequency, in bins of probability."""

    predicted: Reals  # mean probability; NaN in empty bins
    observed: Reals  # share of pixels that are true
    px: Counts


def reliability(level_px: Counts, level_true_px: Counts) -> Reliability:
    """In `BINS` bins of equal width, from the pixels of each probability * 255."""
    levels = np.arange(LEVELS)
    bins = np.minimum(levels * BINS // (LEVELS - 1), BINS - 1)
    px = np.bincount(bins, level_px, BINS)
    some = np.where(px > 0, px, np.nan)
    predicted = np.bincount(bins, level_px * levels, BINS) / (LEVELS - 1) / some
    observed = np.bincount(bins, level_true_px, BINS) / some
    return Reliability(predicted, observed, px.astype(np.int64))


def calibration_error(level_px: Counts, level_true_px: Counts, least: float = 0.0) -> float | None:
    """Expected calibration error: the mean of |predicted - observed| over the pixels' bins.

    Args:
        level_px: pixels of each probability * 255.
        level_true_px: those of them that are true.
        least: pixels of less probability are left out. Nearly all pixels are steel without
            defects, of which every model is sure; over them all, the error says little.
    """
    kept = np.arange(LEVELS) >= least * (LEVELS - 1)
    found = reliability(level_px * kept, level_true_px * kept)
    return _share(
        float(np.nansum(np.abs(found.predicted - found.observed) * found.px)), int(found.px.sum())
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
