"""Measurements of one class in all frames, summed at any threshold and minimum area."""

from __future__ import annotations

import msgspec
import numpy as np

from stripwatch.inspect.defects import raise_min_areas
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.scores import ComponentTable, Counts
from stripwatch_train.evaluation.statistics import Reals, dice_of


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
        components = scores.components(index)
        self._steps = [_rows_of(components, step) for step in range(len(self.thresholds))]

    def sums(self, step: int, min_area_px: int) -> tuple[Counts, Counts]:
        """Pixels found in each frame, and those of them that are true, int64 [frames].

        Args:
            step: place of the threshold among the class's.
            min_area_px: of each component; raised where a gate classifies the class as absent.
        """
        components = self._steps[step]
        kept = components.area >= self._limits(min_area_px)[components.frame]
        frame, count = components.frame[kept], len(self.true_px)
        area = np.bincount(frame, components.area[kept] * components.count[kept], count)
        hit = np.bincount(frame, components.hit[kept], count)
        return area.astype(np.int64), hit.astype(np.int64)

    def own_sums(self) -> tuple[Counts, Counts]:
        """`sums` with the threshold and the minimum area of the line."""
        return self.sums(self.own, self.entry.min_area_px)

    def dice(self, step: int, min_area_px: int) -> Reals:
        """Kaggle's Dice of each frame, float64 [frames]."""
        found, hit = self.sums(step, min_area_px)
        return dice_of(found, hit, self.true_px)

    def found_components(self, step: int, min_area_px: int) -> tuple[int, int]:
        """Number of components found in all frames, and number of right ones."""
        components = self._steps[step]
        kept = components.area >= self._limits(min_area_px)[components.frame]
        return int(components.count[kept].sum()), int(components.right[kept].sum())

    def outcomes(self, step: int, min_area_px: int) -> tuple[Counts, Counts]:
        """Components found in each frame: those that are right, and false alarms, int64 [frames].

        Arguments as of `sums`.
        """
        components = self._steps[step]
        kept = components.area >= self._limits(min_area_px)[components.frame]
        frame, count = components.frame[kept], len(self.true_px)
        right = np.bincount(frame, components.right[kept], count)
        wrong = np.bincount(frame, (components.count - components.right)[kept], count)
        return right.astype(np.int64), wrong.astype(np.int64)

    def own_areas(self) -> tuple[Counts, Counts]:
        """Pixels of each component at the threshold of the line, without the minimum area.

        Those that are right, and those that are not.
        """
        components = self._steps[self.own]
        wrong = components.count - components.right
        return np.repeat(components.area, components.right), np.repeat(components.area, wrong)

    def largest(self) -> Counts:
        """Pixels of the largest component of each frame at the threshold of the line."""
        components = self._steps[self.own]
        largest = np.zeros(len(self.true_px), np.int64)
        np.maximum.at(largest, components.frame, components.area)
        return largest

    def _limits(self, min_area_px: int) -> Counts:
        """The least area in each frame."""
        entry = msgspec.structs.replace(self.entry, min_area_px=min_area_px)
        (raised,) = raise_min_areas((entry,), self.scores.settings.gate)
        return np.maximum(np.where(self._absent, raised.min_area_px, min_area_px), 1)


def _rows_of(components: ComponentTable, step: int) -> ComponentTable:
    here = components.threshold == step
    return ComponentTable(
        components.frame[here],
        components.threshold[here],
        components.area[here],
        components.count[here],
        components.hit[here],
        components.right[here],
    )
