"""Statistics of measured counts: Dice, IoU, ROC, AUC, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch_train.evaluation.scores import LEVELS, Counts

BINS = 10  # of probabilities, for calibration
Reals = NDArray[np.float64]


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
    """False and true positive rates of frames as the limit falls."""

    false: Reals  # of those without
    true: Reals  # of those with


def roc(values: Counts, there: NDArray[np.bool_]) -> Roc | None:
    """The ROC curve of a score that is higher where the class is more likely.

    Frames of equal scores are reported together. None where all frames have the class, or none has.
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
    """Reliability in `BINS` bins of equal width, from the pixels of each probability * 255."""
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
            defects, on which every model is confident; over all pixels the error is small.
    """
    kept = np.arange(LEVELS) >= least * (LEVELS - 1)
    found = reliability(level_px * kept, level_true_px * kept)
    return share_of(
        float(np.nansum(np.abs(found.predicted - found.observed) * found.px)), int(found.px.sum())
    )


def share_of(part: float, whole: float) -> float | None:
    """A quotient; None where there is nothing to divide by."""
    return part / whole if whole else None
