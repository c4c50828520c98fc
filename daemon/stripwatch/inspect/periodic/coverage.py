"""Where a camera, and the cameras over a lane, have inspected the strip."""

from __future__ import annotations

from collections.abc import Sequence

TOUCH_MM = 1e-3  # frames that follow each other; their borders are rounded


class Spans:
    """What one camera has inspected, in millimetres in the direction of inspection."""

    def __init__(self, left_mm: float, right_mm: float, memory_mm: float) -> None:
        """Prepare.

        Args:
            left_mm: the strip that the camera sees across.
            right_mm: as above.
            memory_mm: how far back it is known.
        """
        self._left_mm, self._right_mm = left_mm, right_mm
        self._memory_mm = memory_mm
        self._spans: list[list[float]] = []  # first and end of each, ascending

    @property
    def front_mm(self) -> float:
        """How far the camera has come."""
        return self._spans[-1][1]

    @property
    def whole_from_mm(self) -> float:
        """All from here to the front was inspected."""
        return self._spans[-1][0]

    def sees(self, across_mm: float) -> bool:
        """Whether a lane lies under the camera."""
        return self._left_mm <= across_mm <= self._right_mm

    def add(self, first_mm: float, end_mm: float) -> None:
        """Add an inspected frame; what lies between it and the one before was not inspected."""
        spans = self._spans
        if spans and first_mm <= spans[-1][1] + TOUCH_MM:
            spans[-1][1] = max(end_mm, spans[-1][1])
            return
        while spans and spans[0][1] < first_mm - self._memory_mm:
            del spans[0]
        spans.append([first_mm, end_mm])

    def holds(self, at_mm: float) -> bool:
        """Whether a place was inspected."""
        return any(first <= at_mm < end for first, end in reversed(self._spans))


class LaneCoverage:
    """What the cameras over one lane have inspected together."""

    def __init__(self, cameras: Sequence[Spans]) -> None:
        self._cameras = cameras
        self.whole_from_mm = min(camera.whole_from_mm for camera in cameras)
        self.front_mm = max(camera.front_mm for camera in cameras)

    def holds(self, at_mm: float) -> bool:
        """Whether a place was inspected."""
        return any(camera.holds(at_mm) for camera in self._cameras)
