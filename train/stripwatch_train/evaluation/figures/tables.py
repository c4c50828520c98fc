"""Tables of the page of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch_train.evaluation.metrics import SEEN, ClassMetrics, Metrics
from stripwatch_train.evaluation.sweep import Sweep
from stripwatch_train.page import TableOf

NOTHING = "-"  # in place of an undefined figure


def dice_table(metrics: Metrics) -> TableOf:
    """Masks of each class: settings, Dice and IoU."""

    def row(entry: ClassMetrics) -> tuple[str, ...]:
        return (
            entry.name,
            f"{entry.threshold:g}",
            f"{entry.min_area_px} px",
            f"{entry.frames_with}",
            number(entry.kaggle_dice),
            number(entry.kaggle_dice_of_nothing),
            number(entry.dice_of_frames_with),
            number(entry.dice_px),
            number(entry.iou_px),
        )

    head = ("", "threshold", "minimum area", "frames with it", "Kaggle's Dice", "of nothing")
    more = ("Dice of frames with it", "Dice of all pixels", "IoU of all pixels")
    total = (
        *("all", "", "", f"{metrics.frames_with_defects} of {metrics.frames}"),
        *(number(metrics.kaggle_dice), number(metrics.kaggle_dice_of_nothing), "", "", ""),
    )
    return TableOf((*head, *more), (*map(row, metrics.classes), total))


def defect_table(metrics: Metrics) -> TableOf:
    """Defects of each class: true and found components."""
    rows = tuple(
        (
            entry.name,
            f"{entry.defects}",
            f"{entry.defects_found}",
            number(entry.recall),
            f"{entry.found}",
            f"{entry.found_right}",
            number(entry.precision),
        )
        for entry in metrics.classes
    )
    head = (
        "",
        "true",
        "of these found",
        "recall",
        "components found",
        "of these right",
        "precision",
    )
    return TableOf(head, rows)


def iou_table(metrics: Metrics) -> TableOf:
    """Pixels of each class: IoU, precision, recall, F1."""
    columns = (metrics.iou, metrics.precision_px, metrics.recall_px, metrics.f1_px)
    rows = tuple((name, *(number(column[name]) for column in columns)) for name in metrics.iou)
    total = ("mean (mIoU)", number(metrics.miou), "", "", "")
    return TableOf(("", "IoU", "precision", "recall", "F1"), (*rows, total))


def frame_table(metrics: Metrics) -> TableOf:
    """Frames with and without each class."""
    rows = [
        (
            entry.name,
            f"{entry.frames_with}",
            f"{entry.frames_missed}",
            f"{metrics.frames - entry.frames_with}",
            f"{entry.frames_false}",
            number(entry.auc_peak),
            number(entry.auc_area),
        )
        for entry in metrics.classes
    ]
    total = (
        *("any defect", f"{metrics.frames_with_defects}", f"{metrics.frames_missed}"),
        *(f"{metrics.frames - metrics.frames_with_defects}", f"{metrics.frames_false}"),
        *(number(metrics.auc_peak), number(metrics.auc_area)),
    )
    head = ("", "frames with it", "missed", "without it", "reported in error")
    return TableOf((*head, "AUC by probability", "AUC by area"), (*rows, total))


def calibration_table(metrics: Metrics) -> TableOf:
    """Calibration errors of each class."""
    rows = tuple(
        (entry.name, f"{entry.calibration_error:.5f}", number(entry.calibration_error_seen))
        for entry in metrics.classes
    )
    seen = f"of probability {SEEN:g} or more"
    return TableOf(("expected calibration error", "all pixels", seen), rows)


def sweep_table(sweeps: Sequence[Sweep]) -> TableOf:
    """Settings of each class now, and the best ones."""
    rows = tuple(
        (
            swept.name,
            *(f"{swept.own.threshold:g}", f"{swept.own.min_area_px} px", number(swept.own.dice)),
            *(f"{swept.best.threshold:g}", f"{swept.best.min_area_px} px"),
            number(swept.best.dice),
        )
        for swept in sweeps
    )
    head = ("", "threshold now", "minimum area", "mean Dice")
    return TableOf((*head, "best threshold", "best minimum area", "mean Dice"), rows)


def number(value: float | None) -> str:
    """Four digits, or a dash for an undefined figure."""
    return NOTHING if value is None else f"{value:.4f}"
