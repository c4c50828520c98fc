"""Table of frames: what was true and found of each class in each frame, as CSV."""

from __future__ import annotations

import csv
import io

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.statistics import dice_of

FRAMES_NAME = "frames.csv"
COLUMNS = (
    *("frame", "fold", "class", "dice", "true_px", "found_px", "hit_px"),
    *("largest_component_px", "largest_probability", "false_alarms"),
)


def frames_csv(scores: Scores) -> bytes:
    """A row for each frame and class, at the threshold and minimum area of the line.

    `hit_px` are the found pixels that are true; `largest_component_px` is without the minimum area;
    `false_alarms` are found components of which less than a tenth is true.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = []
    for index in range(len(scores.settings.classes)):
        table = ClassTable(scores, index)
        found, hit = table.own_sums()
        _, wrong = table.outcomes(table.own, table.entry.min_area_px)
        dice = dice_of(found, hit, table.true_px)
        numbers = (table.true_px, found, hit, table.largest(), table.peaks, wrong)
        columns.append((table.entry.name, dice, numbers))
    for place, (frame, fold) in enumerate(zip(scores.names, scores.folds, strict=True)):
        for name, dice, (true, found, hit, largest, peak, wrong) in columns:
            writer.writerow(
                (
                    *(frame, fold, name, f"{dice[place]:.6f}", true[place], found[place]),
                    *(hit[place], largest[place], f"{peak[place] / 255:.4f}", wrong[place]),
                )
            )
    return text.getvalue().encode()
