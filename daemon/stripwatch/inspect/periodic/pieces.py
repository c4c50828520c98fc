"""Whole defects from the pieces that frame seams make of them, as far as roll marks need them.

The pieces of a long scratch stand at equal distances, as the seams do: they are no teeth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.wire.event import Defect

Place = tuple[float, float]  # downweb and crossweb, mm


@dataclass(slots=True)
class _Whole:
    area: float = 0.0
    along: float = 0.0  # sums of area times place
    across: float = 0.0
    length_mm: float = 0.0


class PieceJoiner:
    """Joins the pieces of one camera's defects; a piece waits at a seam for the next frame."""

    def __init__(self, length_mm_max: float) -> None:
        """Prepare for defects up to a length; a longer one has no place of its own."""
        self._length_mm_max = length_mm_max
        self._open: dict[str, _Whole] = {}  # by `part_of`

    def clear(self) -> None:
        """Forget the pieces that wait."""
        self._open = {}

    def join(self, defects: Sequence[Defect], lines: int) -> list[Place]:
        """The places of the defects that are whole with this frame of so many lines, in order."""
        if not defects and not self._open:
            return []
        waiting: dict[str, _Whole] = {}
        for defect in defects:
            along_mm = defect.position.downweb_mm
            assert along_mm is not None
            whole = self._open.setdefault(defect.part_of, _Whole())
            whole.area += defect.area_px
            whole.along += defect.area_px * along_mm
            whole.across += defect.area_px * defect.position.crossweb_mm
            whole.length_mm += defect.size_mm[1]
            if defect.bbox_px[1] + defect.bbox_px[3] == lines:
                waiting[defect.part_of] = whole
        done = [
            (whole.along / whole.area, whole.across / whole.area)
            for name, whole in self._open.items()
            if name not in waiting and whole.length_mm <= self._length_mm_max
        ]
        self._open = waiting
        return sorted(done)
