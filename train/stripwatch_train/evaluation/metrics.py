"""Figures of an evaluation, computed from the scores of its frames.

**Kaggle's mean Dice** is the mean of 2 |A and B| / (|A| + |B|) over all pairs of a frame and a
class, and 1 where both are empty. As most pairs are empty, finding nothing at all scores high: that
floor is given beside it, and only the difference is an achievement.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.presence import PresenceFigures, presence_figures
from stripwatch_train.evaluation.scores import Counts
from stripwatch_train.evaluation.statistics import (
    Reals,
    auc,
    calibration_error,
    dice_of,
    iou_of,
    roc,
    share_of,
)

SEEN = 0.05  # least probability of the pixels of which the second calibration error is
BACKGROUND = "background"


class ClassMetrics(msgspec.Struct, frozen=True):
    """One class, with its threshold and minimum area on the line; None = undefined."""

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
    defects: int  # true components
    defects_found: int
    found: int  # components
    found_right: int
    recall: float | None  # of true components
    precision: float | None  # of found components
    auc_peak: float | None  # frames with and without the class, by the largest probability
    auc_area: float | None  # by the largest component
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
    precision_px: dict[str, float | None]  # of all pixels, from the confusion, as the next two
    recall_px: dict[str, float | None]
    f1_px: dict[str, float | None]
    confusion_by: str  # how a pixel's class was found
    confusion_px: list[list[int]]  # [true][found]; the background first
    auc_peak: float | None  # frames with and without any defect
    auc_area: float | None
    classes: list[ClassMetrics]
    presence: list[PresenceFigures] = []  # gates and classifiers alone


def measure(scores: Scores) -> Metrics:
    """Compute all figures from the scores."""
    tables = [ClassTable(scores, index) for index in range(len(scores.settings.classes))]
    classes = [_class_metrics(table) for table in tables]
    iou = iou_of(scores.confusion)
    both = np.diag(scores.confusion)
    true_px, found_px = scores.confusion.sum(axis=1), scores.confusion.sum(axis=0)
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
        iou=_by_name(names, iou),
        precision_px=_by_name(names, _quotients(both, found_px)),
        recall_px=_by_name(names, _quotients(both, true_px)),
        f1_px=_by_name(names, _quotients(2 * both, found_px + true_px)),
        confusion_by="argmax" if by_softmax else "threshold",
        confusion_px=scores.confusion.tolist(),
        auc_peak=auc(roc(scores.peaks.max(axis=1), has_defect)),
        auc_area=auc(roc(largest, has_defect)),
        classes=classes,
        presence=[entry for found in scores.presence.values() for entry in presence_figures(found)],
    )


def _class_metrics(table: ClassTable) -> ClassMetrics:
    entry, scores, index = table.entry, table.scores, table.index
    found, hit = table.own_sums()
    dice = dice_of(found, hit, table.true_px)
    there = table.true_px > 0
    components, right = table.found_components(table.own, entry.min_area_px)
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
        dice_of_frames_with=share_of(float(dice[there].sum()), int(there.sum())),
        dice_px=share_of(2 * hit_px, found_px + true_px),
        iou_px=share_of(hit_px, found_px + true_px - hit_px),
        defects=defects,
        defects_found=defects_found,
        found=components,
        found_right=right,
        recall=share_of(defects_found, defects),
        precision=share_of(right, components),
        auc_peak=auc(roc(table.peaks, there)),
        auc_area=auc(roc(table.largest(), there)),
        calibration_error=calibration_error(level_px, level_true_px) or 0.0,
        calibration_error_seen=calibration_error(level_px, level_true_px, SEEN),
    )


def _by_name(names: Sequence[str], values: Reals) -> dict[str, float | None]:
    return {name: _known(value) for name, value in zip(names, values.tolist(), strict=True)}


def _quotients(parts: Counts, wholes: Counts) -> Reals:
    """Quotients; NaN where there is nothing to divide by."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), np.nan)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
