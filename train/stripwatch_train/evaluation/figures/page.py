"""Page of an evaluation: all figures, all plots, the worst frames; and metrics.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.figures.plots import (
    plot_areas,
    plot_confusion,
    plot_reliability,
    plot_roc,
)
from stripwatch_train.evaluation.figures.presence import presence_section
from stripwatch_train.evaluation.figures.sweep_plot import plot_sweep
from stripwatch_train.evaluation.figures.worst import plot_worst
from stripwatch_train.evaluation.metrics import SEEN, ClassMetrics, Metrics
from stripwatch_train.evaluation.sweep import Sweep
from stripwatch_train.page import Picture, Section, TableOf, write_page

METRICS_NAME = "metrics.json"
NOTHING = "-"  # in place of an undefined figure

KAGGLE_TEXT = (
    "Kaggle's mean Dice is the mean over all pairs of a frame and a class, and a pair in which "
    "both are empty counts 1. The column beside it is the floor: the score of finding nothing."
)
DEFECTS_TEXT = (
    "Defects are connected components. A true one is found when at least a tenth of its pixels are "
    "covered by what was found of its class; a found one is right when at least a tenth of its "
    "pixels are true. Minimum areas are of each component, as in the daemon."
)
CONFUSION_TEXT = {
    "argmax": "A pixel's class is the most probable one, with the background at 1 minus the sum of "
    "the classes, as published mIoU are made. Thresholds and minimum areas play no part.",
    "threshold": "A pixel's class is the most probable of those that reach their threshold there, "
    "and the background where none does. Minimum areas play no part.",
}
FRAMES_TEXT = "How well frames with a defect can be separated from those without."
CALIBRATION_TEXT = (
    "Nearly all pixels are steel without defects, on which every model is confident. The second "
    f"error is over pixels with a probability of at least {SEEN:g} only."
)
SWEEP_TEXT = (
    "The best threshold and minimum area of each class on these frames. To set them, use "
    "stripwatch-train tune, which takes validation frames only."
)
WORST_TEXT = (
    "The frames with the lowest mean Dice over the classes; ties go to the most wrong pixels."
)


def write_report(
    folder: Path, scores: Scores, metrics: Metrics, sweeps: Sequence[Sweep], title: str, lead: str
) -> Path:
    """Write the page, its pictures and metrics.json; returns the page's path.

    Raises:
        ConfigError: one of the worst frames' images is gone.
        StorageError: the folder cannot be written.
    """
    tables = [ClassTable(scores, index) for index in range(len(scores.settings.classes))]
    sections = [
        Section("Masks", KAGGLE_TEXT, (_dice_table(metrics),)),
        Section("Defects", DEFECTS_TEXT, (_defect_table(metrics),), (plot_areas(tables, scores),)),
        Section(
            "Pixels",
            CONFUSION_TEXT[metrics.confusion_by],
            (_iou_table(metrics),),
            (plot_confusion(scores),),
        ),
        Section("Frames", FRAMES_TEXT, (_frame_table(metrics),), (plot_roc(tables, scores),)),
        Section(
            "Calibration",
            CALIBRATION_TEXT,
            (_calibration_table(metrics),),
            (plot_reliability(tables, scores),),
        ),
        Section(
            "Thresholds and minimum areas",
            SWEEP_TEXT,
            (_sweep_table(sweeps),),
            tuple(plot_sweep(table, swept) for table, swept in zip(tables, sweeps, strict=True)),
        ),
    ]
    if scores.presence:
        sections.append(presence_section(list(scores.presence.values())))
    worst = _worst(scores)
    if worst:
        sections.append(Section("Worst frames", WORST_TEXT, pictures=worst))
    page = write_page(folder, title, lead, sections)
    try:
        data = msgspec.json.format(msgspec.json.encode(metrics), indent=2)
        write_whole(folder / METRICS_NAME, data + b"\n")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return page


def _worst(scores: Scores) -> tuple[Picture, ...]:
    wrong = [entry for entry in scores.worst if entry.wrong_px]
    classes = scores.settings.classes
    return tuple(plot_worst(entry, classes, rank) for rank, entry in enumerate(wrong, 1))


def _dice_table(metrics: Metrics) -> TableOf:
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


def _defect_table(metrics: Metrics) -> TableOf:
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


def _iou_table(metrics: Metrics) -> TableOf:
    rows = tuple((name, number(value)) for name, value in metrics.iou.items())
    return TableOf(("", "IoU"), (*rows, ("mean (mIoU)", number(metrics.miou))))


def _frame_table(metrics: Metrics) -> TableOf:
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


def _calibration_table(metrics: Metrics) -> TableOf:
    rows = tuple(
        (entry.name, f"{entry.calibration_error:.5f}", number(entry.calibration_error_seen))
        for entry in metrics.classes
    )
    seen = f"of probability {SEEN:g} or more"
    return TableOf(("expected calibration error", "all pixels", seen), rows)


def _sweep_table(sweeps: Sequence[Sweep]) -> TableOf:
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
