"""The best threshold and minimum area of each class, from the scores of the frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.statistics import Reals

# Pixels; at most a hundredth of a frame.
AREAS_PX = (0, 10, 20, 40, 60, 100, 150, 200, 300, 400, 600, 800, 1000, 1400, 2000, 2800, 4000)
FRAME_PARTS = 100
TOLERANCE = 0.0005  # of mean Dice: smaller differences are random, and count as equal
PREFERRED = 0.5  # threshold that wins among equals: there the output of a model is steepest


@dataclass(frozen=True)
class Point:
    """A threshold and a minimum area, and the mean Dice that they give."""

    threshold: float
    min_area_px: int
    dice: float


@dataclass(frozen=True)
class Sweep:
    """Mean Dice of one class over frames, by threshold and minimum area."""

    name: str
    thresholds: tuple[float, ...]
    areas_px: tuple[int, ...]
    dice: Reals  # [thresholds, areas]
    own: Point  # as it is now
    best: Point


def sweep(table: ClassTable, frames: NDArray[np.bool_] | None = None) -> Sweep:
    """Try all thresholds and minimum areas of a class.

    The best is the present setting where it is within TOLERANCE of the highest mean Dice. Else it
    is, of those within TOLERANCE, the one with the threshold nearest to 0.5; of equals that with
    the smaller area, then the lower threshold. So it lies inside a plateau rather than on a random
    peak.

    Args:
        table: of the class.
        frames: bool [frames], those that count; None = all.
    """
    entry = table.entry
    largest = table.scores.frame_px_max // FRAME_PARTS
    areas = sorted({*(area for area in AREAS_PX if area <= largest), entry.min_area_px})
    kept = np.ones(len(table.true_px), np.bool_) if frames is None else frames
    dice = np.array(
        [
            [table.dice(step, area)[kept].mean() for area in areas]
            for step in range(len(table.thresholds))
        ]
    )

    def point(step: int, place: int) -> Point:
        return Point(table.thresholds[step], areas[place], float(dice[step, place]))

    own = point(table.own, areas.index(entry.min_area_px))
    best = own
    if own.dice < dice.max() - TOLERANCE:
        equal = np.argwhere(dice >= dice.max() - TOLERANCE)
        best = min((point(*place) for place in equal.tolist()), key=preference)
    return Sweep(entry.name, table.thresholds, tuple(areas), dice, own, best)


def preference(point: Point) -> tuple[float, int, float]:
    """Sort key of settings that are equally good: the preferred one first."""
    return (round(abs(point.threshold - PREFERRED), 6), point.min_area_px, point.threshold)


def sweep_all(scores: Scores) -> list[Sweep]:
    """The sweep of each class over all frames."""
    return [sweep(ClassTable(scores, index)) for index in range(len(scores.settings.classes))]
