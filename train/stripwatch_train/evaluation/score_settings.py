"""Settings of a measurement: classes, thresholds and the gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.inspect.defects import raise_min_areas

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))  # thresholds: 0.05, 0.10 to 0.95


@dataclass(frozen=True)
class ScoreSettings:
    """Settings of a measurement, the same for all frames."""

    classes: tuple[DefectClass, ...]  # with the thresholds and minimum areas of the line
    gate: Gate | None = None
    has_background: bool = False  # see the module, confusion

    @cached_property
    def thresholds(self) -> tuple[tuple[float, ...], ...]:
        """Thresholds of each class: the grid and its own."""
        return tuple(tuple(sorted({*GRID, entry.threshold})) for entry in self.classes)

    @cached_property
    def own(self) -> tuple[int, ...]:
        """The place of each class's own threshold among its thresholds."""
        pairs = zip(self.thresholds, self.classes, strict=True)
        return tuple(thresholds.index(entry.threshold) for thresholds, entry in pairs)

    @cached_property
    def raised(self) -> Sequence[DefectClass]:
        """The classes with the minimum areas for frames in which the gate finds them absent."""
        return raise_min_areas(self.classes, self.gate)


def level_of(threshold: float) -> int:
    """The least probability * 255, rounded, that reaches a threshold."""
    return math.ceil(round(threshold * 255, 6))
