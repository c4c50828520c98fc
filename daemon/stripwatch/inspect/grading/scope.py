"""What of a strip a rule looks at: defects, and stretches along the strip."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stripwatch.config.grading import Rule
from stripwatch.inspect.grading.intervals import Interval
from stripwatch.inspect.grading.record import Flaw, StripRecord

SECTORS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A defect of a rule's scope."""

    flaw: Flaw
    is_assumed: bool  # its distance from the edge, or its place along the strip, is not known


def stretches(rule: Rule, length_mm: float) -> list[Interval]:
    """The stretches of the strip that a rule measures, each by itself."""
    if rule.head_m or rule.tail_m:
        ends: list[Interval] = []
        if rule.head_m:
            ends.append((0.0, min(length_mm, 1000 * rule.head_m)))
        if rule.tail_m:
            ends.append((max(0.0, length_mm - 1000 * rule.tail_m), length_mm))
        return ends
    first = min(length_mm, 1000 * rule.without_head_m)
    last = max(first, length_mm - 1000 * rule.without_tail_m)
    if rule.sector_m is None:
        return [(first, last)]
    return _sectors(first, last, 1000 * rule.sector_m)


def _sectors(first: float, last: float, sector_mm: float) -> list[Interval]:
    """Sectors of equal length; the last one reaches back, so that no short one looks dense."""
    if last - first <= sector_mm:
        return [(first, last)]
    sector_mm = max(sector_mm, (last - first) / SECTORS_MAX)
    count = math.ceil((last - first) / sector_mm - 1e-9)
    starts = [first + number * sector_mm for number in range(count - 1)]
    return [*((start, start + sector_mm) for start in starts), (last - sector_mm, last)]


def choose(rule: Rule, record: StripRecord) -> list[Chosen]:
    """The defects of a rule's scope, wherever they lie along the strip.

    A defect of which it is not known whether it belongs to the scope belongs to it: a strip is not
    better because less is known of it.
    """
    chosen = []
    for flaw in record.defects:
        if rule.classes and flaw.class_name not in rule.classes:
            continue
        if rule.side not in (None, flaw.side) or rule.periodic not in (None, flaw.is_periodic):
            continue
        if flaw.length_mm < rule.length_mm_min or flaw.width_mm < rule.width_mm_min:
            continue
        if flaw.area_mm2 < rule.area_mm2_min or flaw.score < rule.score_min:
            continue
        is_assumed = flaw.along_mm is None and _is_partial(rule)
        if rule.edge_distance_mm is not None:
            low, high = _nearest(flaw)
            if high < rule.edge_distance_mm[0] or low >= rule.edge_distance_mm[1]:
                continue
            is_assumed = is_assumed or low != high
        chosen.append(Chosen(flaw, is_assumed))
    return chosen


def _nearest(flaw: Flaw) -> Interval:
    """The smallest and largest that the distance to the nearer edge can be."""
    known = [max(0.0, one) for one in flaw.edge_distance_mm if one is not None]
    nearest = min(known, default=math.inf)
    return (nearest if len(known) == 2 else 0.0, nearest)


def _is_partial(rule: Rule) -> bool:
    ends = (rule.head_m, rule.tail_m, rule.without_head_m, rule.without_tail_m, rule.sector_m)
    return any(ends)


def with_candidates(
    chosen: Sequence[Chosen], spans: Sequence[Interval]
) -> Iterator[tuple[Interval, Sequence[Chosen]]]:
    """Each stretch with the defects that may touch it; of many, those far from it are left out."""
    if len(spans) < 3:
        yield from ((span, chosen) for span in spans)
        return
    placed = sorted(
        (one.flaw.along_mm[0], number)
        for number, one in enumerate(chosen)
        if one.flaw.along_mm is not None
    )
    unplaced = [one for one in chosen if one.flaw.along_mm is None]
    longest = max(
        (one.flaw.along_mm[1] - one.flaw.along_mm[0] for one in chosen if one.flaw.along_mm),
        default=0.0,
    )
    for span in spans:
        first = bisect_left(placed, (span[0] - longest, -1))
        last = bisect_left(placed, (span[1], len(chosen)))
        yield span, [*unplaced, *(chosen[number] for _, number in placed[first:last])]


def touches(flaw: Flaw, stretch: Interval) -> bool:
    """Whether a defect lies in a stretch, in part at least; one without a place lies in all."""
    if flaw.along_mm is None:
        return True
    first, last = flaw.along_mm
    if first == last:
        return stretch[0] <= first <= stretch[1]
    return first < stretch[1] and last > stretch[0]
