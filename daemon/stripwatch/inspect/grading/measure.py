"""The value of a rule's measure in one stretch of the strip, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.config.grading import COVERAGE, Measure, Rule
from stripwatch.inspect.grading.intervals import Interval, clip, total, union
from stripwatch.inspect.grading.record import Blind, Flaw, StripRecord
from stripwatch.inspect.grading.scope import Chosen, touches

UNITS: dict[Measure, str] = {
    "count": "",
    "count_per_100_m": "per 100 m",
    "count_per_m2": "per m2",
    "area_percent": "%",
    "length_percent": "%",
    "length_mm_max": "mm",
    "width_mm_max": "mm",
    "area_mm2_max": "mm2",
    "not_inspected_m": "m",
    "not_inspected_percent": "%",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule measured in one stretch."""

    value: float
    defects: Sequence[Chosen] = ()
    blind: Sequence[Blind] = ()


def measure(rule: Rule, record: StripRecord, chosen: Sequence[Chosen], stretch: Interval) -> Found:
    """The value in a stretch (mm along the strip), with the defects or gaps that make it.

    Densities and shares are of what was inspected: metres that nobody looked at make no strip
    better. Of a stretch of which nothing was inspected they are 0; a rule on coverage speaks there.
    """
    if rule.measure in COVERAGE:
        return _coverage(rule, record, stretch)
    inside = [one for one in chosen if touches(one.flaw, stretch)]
    flaws = [one.flaw for one in inside]
    inspected_m = record.inspected_mm(rule.side, stretch) / 1000
    match rule.measure:
        case "count":
            value: float = len(flaws)
        case "count_per_100_m":
            value = _share(100 * len(flaws), inspected_m)
        case "count_per_m2":
            value = _share(len(flaws), record.inspected_m2(rule.side, stretch))
        case "area_percent":
            area_m2 = sum(_area_inside(flaw, stretch) for flaw in flaws) / 1e6
            value = _share(100 * area_m2, record.inspected_m2(rule.side, stretch))
        case "length_percent":
            value = _share(100 * _affected_m(rule, flaws, stretch), inspected_m)
        case "length_mm_max" | "width_mm_max" | "area_mm2_max":
            return _largest(rule, inside)
    return Found(value, inside)


def _coverage(rule: Rule, record: StripRecord, stretch: Interval) -> Found:
    missed_mm = total(clip(record.blind_along(rule.side), stretch))
    missed_mm += record.blind_unplaced_mm(rule.side)
    blind = [
        one
        for one in record.blind
        if rule.side in (None, one.side) and (one.along_mm is None or clip([one.along_mm], stretch))
    ]
    if rule.measure == "not_inspected_m":
        return Found(missed_mm / 1000, blind=blind)
    length_mm = stretch[1] - stretch[0]
    # Of a strip of no length nothing was inspected.
    return Found(min(100.0, 100 * missed_mm / length_mm) if length_mm else 100.0, blind=blind)


def _largest(rule: Rule, inside: Sequence[Chosen]) -> Found:
    too_large = [one for one in inside if _size(rule, one.flaw) > rule.limit]
    return Found(max((_size(rule, one.flaw) for one in inside), default=0.0), too_large)


def _size(rule: Rule, flaw: Flaw) -> float:
    match rule.measure:
        case "length_mm_max":
            return flaw.length_mm
        case "width_mm_max":
            return flaw.width_mm
        case _:
            return flaw.area_mm2


def _affected_m(rule: Rule, flaws: Sequence[Flaw], stretch: Interval) -> float:
    """The length on which there is a defect; those without a place do not overlap others."""
    placed = union(
        (flaw.along_mm[0] - rule.stretch_mm, flaw.along_mm[1] + rule.stretch_mm)
        for flaw in flaws
        if flaw.along_mm
    )
    unplaced_mm = sum(
        flaw.length_mm + 2 * rule.stretch_mm for flaw in flaws if flaw.along_mm is None
    )
    return min(stretch[1] - stretch[0], total(clip(placed, stretch)) + unplaced_mm) / 1000


def _area_inside(flaw: Flaw, stretch: Interval) -> float:
    """The area of a defect that lies in a stretch, as if it were spread evenly over its length."""
    if flaw.along_mm is None or flaw.along_mm[0] == flaw.along_mm[1]:
        return flaw.area_mm2
    length = flaw.along_mm[1] - flaw.along_mm[0]
    return flaw.area_mm2 * total(clip([flaw.along_mm], stretch)) / length


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
