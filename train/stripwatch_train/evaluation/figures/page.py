"""Page of an evaluation: all figures, all plots, the worst frames; and metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import Progress
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.figures.plots import (
    plot_areas,
    plot_confusion,
    plot_reliability,
    plot_roc,
)
from stripwatch_train.evaluation.figures.presence import presence_section
from stripwatch_train.evaluation.figures.sizes import plot_sizes
from stripwatch_train.evaluation.figures.sweep_plot import plot_sweep
from stripwatch_train.evaluation.figures.tables import (
    calibration_table,
    defect_table,
    dice_table,
    frame_table,
    iou_table,
    sweep_table,
)
from stripwatch_train.evaluation.figures.worst import plot_frame
from stripwatch_train.evaluation.frame_table import FRAMES_NAME, frames_csv
from stripwatch_train.evaluation.metrics import SEEN, Metrics
from stripwatch_train.evaluation.sweep import Sweep
from stripwatch_train.page import Picture, Section, write_page

METRICS_NAME = "metrics.json"

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
    "The best threshold and minimum area of each class on these frames, by mean Dice; of a rare "
    "class that can be one that never finds it. To set them, use stripwatch-train tune, which "
    "takes validation frames only and switches no class off."
)
SIZES_TEXT = (
    "Pixels found in each frame at several thresholds, without a minimum area, in frames with the "
    "class and in those without. A minimum area between both kinds drops what is found in error."
)
CURVES_TEXT = (
    "Score: of the validation frames, the mean over the classes of the Dice of all pixels with a "
    "probability of 0.5 or more; of gates and classifiers, of frames. The exported epoch is marked."
)
ORDINARY_TEXT = "Frames chosen at random, by a hash of their names: what the model mostly does."
BEST_TEXT = "The frames with a defect and the highest mean Dice over the classes."
WORST_TEXT = (
    "The frames with the lowest mean Dice over the classes; ties go to the most wrong pixels."
)


def write_report(
    folder: Path,
    scores: Scores,
    metrics: Metrics,
    sweeps: Sequence[Sweep],
    title: str,
    lead: str,
    curves: Sequence[Picture] = (),
    progress: Progress = lambda *_: None,
) -> Path:
    """Write the page, its pictures, metrics.json and frames.csv; returns the page's path.

    Args:
        folder: to write.
        scores: of all frames.
        metrics: the figures of these scores.
        sweeps: of each class.
        title: of the page.
        lead: its first sentence.
        curves: of the training, where the model is a run.
        progress: called before each part of the page and each picture of a frame.

    Raises:
        ConfigError: one of the worst frames' images is gone.
        StorageError: the folder cannot be written.
    """
    parts = _parts(scores, metrics, sweeps)
    sections: list[Section] = []
    for done, part in enumerate(parts):
        progress("plots", done, len(parts))
        sections.append(part())
    if curves:
        sections.append(Section("Training", CURVES_TEXT, pictures=tuple(curves)))
    sections += _shown_frames(scores, progress)
    page = write_page(folder, title, lead, sections)
    try:
        data = msgspec.json.format(msgspec.json.encode(metrics), indent=2)
        write_whole(folder / METRICS_NAME, data + b"\n")
        write_whole(folder / FRAMES_NAME, frames_csv(scores))
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return page


def _parts(
    scores: Scores, metrics: Metrics, sweeps: Sequence[Sweep]
) -> list[Callable[[], Section]]:
    """The sections of figures and plots, each to be made when it is its turn."""
    tables = [ClassTable(scores, index) for index in range(len(scores.settings.classes))]
    pairs = list(zip(tables, sweeps, strict=True))
    parts: list[Callable[[], Section]] = [
        lambda: Section("Masks", KAGGLE_TEXT, (dice_table(metrics),)),
        lambda: Section(
            "Defects", DEFECTS_TEXT, (defect_table(metrics),), (plot_areas(tables, scores),)
        ),
        lambda: Section(
            "Pixels",
            CONFUSION_TEXT[metrics.confusion_by],
            (iou_table(metrics),),
            (plot_confusion(scores),),
        ),
        lambda: Section(
            "Frames", FRAMES_TEXT, (frame_table(metrics),), (plot_roc(tables, scores),)
        ),
        lambda: Section(
            "Calibration",
            CALIBRATION_TEXT,
            (calibration_table(metrics),),
            (plot_reliability(tables, scores),),
        ),
        lambda: Section(
            "Thresholds and minimum areas",
            SWEEP_TEXT,
            (sweep_table(sweeps),),
            tuple(plot_sweep(table, swept) for table, swept in pairs),
        ),
        lambda: Section(
            "Sizes of found masks", SIZES_TEXT, pictures=tuple(map(plot_sizes, tables))
        ),
    ]
    if scores.presence:
        parts.append(lambda: presence_section(list(scores.presence.values())))
    return parts


def _shown_frames(scores: Scores, progress: Progress) -> list[Section]:
    """Sections of the worst, of ordinary and of the best frames."""
    sections: list[Section] = []
    worst = [entry for entry in scores.worst if entry.wrong_px]
    count = len(worst) + len(scores.ordinary) + len(scores.best)
    done = 0
    for kind, heading, text, frames in (
        ("worst", "Worst frames", WORST_TEXT, worst),
        ("ordinary", "Ordinary frames", ORDINARY_TEXT, scores.ordinary),
        ("best", "Best frames", BEST_TEXT, scores.best),
    ):
        pictures: list[Picture] = []
        for rank, entry in enumerate(frames, 1):
            progress("pictures of frames", done, count)
            pictures.append(plot_frame(entry, scores.settings.classes, rank, kind))
            done += 1
        if pictures:
            sections.append(Section(heading, text, pictures=tuple(pictures)))
    return sections
