"""What would remain with other thresholds or minimum areas; pure.

The journal knows of a defect its largest probability and its area at the threshold that was in
force. A raised threshold keeps a defect only if its peak reaches it: that is exact for those that
go. Those that stay become smaller, may fall apart, or below the minimum area: so what remains is
an upper bound. What a lower threshold or area would add was never kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from stripwatch.config.grading import Grading
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.record import Flaw, StripRecord
from stripwatch.page.defect_rows import Told
from stripwatch.wire.event import DefectClosed
from stripwatch.wire.operator import ClassInForce, ClassSetting

LAST_MAX = 500
PEAK_STEP = 1 / 255  # of probabilities in the engine's output

Exactness = Literal["unchanged", "exact", "upper_bound", "lowered"]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a question."""

    classes: tuple[ClassSetting, ...]
    strip: str | None = None
    last: int = LAST_MAX


class Trial:
    """Settings to try in place of those in force."""

    def __init__(
        self,
        in_force: Sequence[ClassInForce],
        asked: Sequence[ClassSetting],
        pixel_mm2: float,
    ) -> None:
        """Prepare.

        Args:
            in_force: the classes as they are.
            asked: what is tried; names are among those of the classes.
            pixel_mm2: area of a pixel on the strip.
        """
        self._in_force = {entry.name: entry for entry in in_force}
        self._asked = {entry.name: entry for entry in asked}
        self._pixel_mm2 = pixel_mm2

    def keeps(self, class_name: str, peak: float, area_px: float) -> bool:
        """Whether a defect can remain."""
        setting = self._asked.get(class_name)
        if setting is None:
            return True
        # The engine's mask is where the probability reaches the threshold.
        if setting.threshold is not None and peak + PEAK_STEP < setting.threshold:
            return False
        return setting.min_area_px is None or round(area_px, 3) >= setting.min_area_px

    def keeps_event(self, event: Told) -> bool:
        """The same of an event."""
        return self.keeps(event.class_name, event.peak, event.area_px)

    def keeps_flaw(self, flaw: Flaw) -> bool:
        """The same of a defect of a strip's record."""
        return self.keeps(flaw.class_name, flaw.peak, flaw.area_mm2 / self._pixel_mm2)

    def exactness(self, *, has_pieces: bool) -> dict[str, Exactness]:
        """How far the answer can be relied on, by class that is tried."""
        return {
            name: self._exactness(setting, has_pieces=has_pieces)
            for name, setting in self._asked.items()
        }

    def _exactness(self, setting: ClassSetting, *, has_pieces: bool) -> Exactness:
        now = self._in_force[setting.name]
        threshold = now.threshold if setting.threshold is None else setting.threshold
        area = now.min_area_px if setting.min_area_px is None else setting.min_area_px
        if threshold < now.threshold or area < now.min_area_px:
            return "lowered"
        if threshold > now.threshold:
            return "upper_bound"
        if area > now.min_area_px:
            return "upper_bound" if has_pieces else "exact"
        return "unchanged"


REMARKS: dict[Exactness, str] = {
    "lowered": "what a lower threshold or minimum area would add was not kept: more may come",
    "upper_bound": "defects that remain become smaller and may fall away: fewer may remain",
}


def remarks(exactness: Mapping[str, Exactness]) -> list[str]:
    """What limits an answer, in sentences."""
    found = []
    for kind, text in REMARKS.items():
        names = sorted(name for name, one in exactness.items() if one == kind)
        if names:
            found.append(f"{', '.join(names)}: {text}")
    return found


def of_events(trial: Trial, events: Iterable[Told]) -> dict[str, Any]:
    """What remains of the latest defects."""
    return _counts((event.seq, event.class_name, trial.keeps_event(event)) for event in events)


def of_strip(trial: Trial, record: StripRecord, grading: Grading) -> dict[str, Any]:
    """What remains of a strip, and its grades before and after."""
    counts = _counts((flaw.seq, flaw.class_name, trial.keeps_flaw(flaw)) for flaw in record.defects)
    then = None
    now = None
    if grading.rules:
        kept = [flaw for flaw in record.defects if trial.keeps_flaw(flaw)]
        now = grade(grading, record)
        then = grade(grading, dataclasses.replace(record, defects=kept))
    return {
        "strip": record.strip,
        **counts,
        "grade_now": now.grade if now else None,
        "grade_then": then.grade if then else None,
        "verdict_then": then,
    }


def has_pieces(events: Iterable[Told], record: StripRecord | None) -> bool:
    """Whether a defect is made of several pieces, of which each has to be large enough."""
    return any(isinstance(event, DefectClosed) for event in events) or (
        record is not None and any(flaw.pieces > 1 for flaw in record.defects)
    )


def _counts(judged: Iterable[tuple[int, str, bool]]) -> dict[str, Any]:
    by_class: dict[str, dict[str, int]] = {}
    removed = []
    for seq, name, stays in judged:
        counts = by_class.setdefault(name, {"total": 0, "remain": 0})
        counts["total"] += 1
        counts["remain"] += stays
        if not stays:
            removed.append(seq)
    return {
        "total": sum(counts["total"] for counts in by_class.values()),
        "remain": sum(counts["remain"] for counts in by_class.values()),
        "by_class": by_class,
        "removed": removed,
    }
