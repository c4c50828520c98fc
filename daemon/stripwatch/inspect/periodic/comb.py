"""The comb test: do the defects of a lane repeat at one distance more often than chance allows?

A roll with a flaw prints it once a turn, so the defects of its lane stand like the teeth of a comb.
From a new defect, each distance to an earlier one is a candidate for the period. Its teeth are
looked for further back, each close to where those found so far predict it. The question is how
likely defects at random places, as dense as those of the lane that are no teeth, would hit as many.

Positions are millimetres in the direction of inspection.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SLOTS = 16  # places of teeth that are looked at
TEETH_MIN = 3  # beside the new defect and the one that gave the period
NEXT = (2, 3, 4)  # places of which one must have a tooth
CANDIDATES_MAX = 64
EMPTY_MAX = 6  # places in a row without a tooth, after which a comb ends
JITTER_MM = 3.0  # of a defect's position: about two deviations of the distance between two
SLIP = 0.001  # by which a period may change from turn to turn
P_MAX = 1e-7  # 36 km of strip have about 250,000 candidates
PROMISING = 1e-2  # p value at which the background is looked at more closely
DIVISORS = (2, 3, 4)
DIVISOR_GAIN = 10.0  # a part of the period wins only where it is so much less likely
PART_TURNS = 0.02  # how far a part of a period may be off


class Covered(Protocol):
    """Where a lane was inspected."""

    @property
    def whole_from_mm(self) -> float:
        """All of it from here on was inspected."""

    def holds(self, at_mm: float) -> bool:
        """Whether a place was inspected."""


@dataclass(frozen=True, slots=True)
class Comb:
    """Teeth that chance would hardly place so."""

    period_mm: float
    p_value: float
    teeth_mm: tuple[float, ...]  # from the newest back
    slots: int  # periods from the first tooth to the newest
    missed: int  # places between them that were inspected and are empty


def find_candidates(
    newest_mm: float, lane: Sequence[float], covered: Covered, period_mm: tuple[float, float]
) -> list[float]:
    """The distances to a new defect, largest first, that repeat at least once more.

    Most defects end here, in a tenth of the time of a test.

    Args:
        newest_mm: place of the new defect.
        lane: places of the earlier defects of its lane, ascending, all below `newest_mm`; as far
            back as `NEXT[-1] + 1` of the largest period.
        covered: where the lane was inspected. Elsewhere no tooth is expected.
        period_mm: smallest and largest period. A lane with more than `CANDIDATES_MAX` defects
            within the largest has none: it is so dense that hardly any comb would stand out.
    """
    first = bisect_left(lane, newest_mm - period_mm[1])
    end = bisect_right(lane, newest_mm - period_mm[0])
    if end - first > CANDIDATES_MAX:
        return []
    distances_mm = [newest_mm - place for place in lane[first:end]]
    return [one for one in distances_mm if _goes_on(newest_mm, lane, covered, one)]


def find_comb(
    newest_mm: float, lane: Sequence[float], covered: Covered, candidates_mm: Sequence[float]
) -> Comb | None:
    """The comb that ends in a new defect; None where chance explains the lane as well.

    Args:
        newest_mm: as above.
        lane: as above; as far back as `SLOTS + 1` of the largest candidate.
        covered: as above.
        candidates_mm: for the period, largest first.
    """
    best: Comb | None = None
    for distance_mm in candidates_mm:
        comb = _score(newest_mm, lane, covered, distance_mm, 1)
        if comb and (best is None or comb.p_value * _gain(best, comb) < best.p_value):
            best = comb
    if best is None or best.p_value > P_MAX:
        return None
    whole = best
    for divisor in DIVISORS:  # none of the teeth between may be as far back as a period
        part = _score(newest_mm, lane, covered, whole.period_mm, divisor)
        if part and part.p_value * DIVISOR_GAIN < best.p_value:
            best = part
    return best


def _goes_on(newest_mm: float, lane: Sequence[float], covered: Covered, distance_mm: float) -> bool:
    """Whether one of the next places has a tooth, or was not inspected."""
    if newest_mm - NEXT[-1] * distance_mm < covered.whole_from_mm:
        return True
    for slot in NEXT:
        at_mm = newest_mm - slot * distance_mm
        reach_mm = JITTER_MM * slot + SLIP * distance_mm * (slot - 1)
        index = bisect_left(lane, at_mm - reach_mm)
        if lane[index] <= at_mm + reach_mm:  # there is one: the newest but one is further on
            return True
    return False


def _gain(best: Comb, comb: Comb) -> float:
    """How much less likely a comb must be than the best so far.

    All teeth of a period are teeth of its parts, too: these look as unlikely, and are wrong.
    """
    turns = best.period_mm / comb.period_mm
    is_part = round(turns) in DIVISORS and abs(turns - round(turns)) < PART_TURNS
    return DIVISOR_GAIN if is_part else 1.0


def _score(
    newest_mm: float, lane: Sequence[float], covered: Covered, distance_mm: float, given: int
) -> Comb | None:
    """The least likely comb whose place `given` lies at a distance; None with too few teeth.

    Each place is searched around the prediction of the teeth found before it, so its window is
    narrow. The chance of a hit differs from place to place; a binomial tail with their mean bounds
    the true one from above (Hoeffding 1956, doi 10.1214/aoms/1177728178). The lane's density is
    counted over the comb itself, without what lies on it, and with one defect more than was seen.
    Since a comb may end at any place, its p value is multiplied by their number.
    """
    period_mm = distance_mm / given
    teeth: list[float] = []
    best: Comb | None = None
    furthest, expected, window_mm, on_comb = given, 0, 0.0, 0
    for slot in range(1, SLOTS + 1):
        at_mm = newest_mm - slot * period_mm
        reach_mm = JITTER_MM * max(slot / furthest, 1.0) + SLIP * period_mm * abs(slot - furthest)
        if at_mm + reach_mm < lane[0] or slot - furthest > EMPTY_MAX:
            break
        if at_mm < covered.whole_from_mm and not covered.holds(at_mm):
            continue
        low = bisect_left(lane, at_mm - reach_mm)
        high = bisect_right(lane, at_mm + reach_mm, low)
        if slot != given:
            expected += 1
            window_mm += 2 * reach_mm
        if high == low:
            continue
        on_comb += high - low
        teeth.append(_nearest(lane, low, high, at_mm))
        if slot > furthest:
            furthest, period_mm = slot, (newest_mm - teeth[-1]) / slot
        if slot >= given and len(teeth) > TEETH_MIN:
            hits, length_mm = len(teeth) - 1, (expected + 1) * period_mm
            around = _around(lane, newest_mm, period_mm, slot)
            others = len(around) - on_comb
            p_value = _p_value(hits, expected, window_mm, others, length_mm)
            if P_MAX < p_value < PROMISING:
                others = min(others, _alone(around, lane, period_mm))
                p_value = _p_value(hits, expected, window_mm, others, length_mm)
            if best is None or p_value < best.p_value:
                missed = expected + 1 - len(teeth)
                best = Comb(period_mm, p_value, (newest_mm, *teeth), slot, missed)
    return best


def _nearest(lane: Sequence[float], low: int, high: int, at_mm: float) -> float:
    """The defect nearest to a place, among those from index `low` to below `high`."""
    return min((abs(place - at_mm), place) for place in lane[low:high])[1]


def _around(
    lane: Sequence[float], newest_mm: float, period_mm: float, slots: int
) -> Sequence[float]:
    """The defects around the places of a comb, half a period to both sides of each."""
    first = bisect_left(lane, newest_mm - (slots + 0.5) * period_mm)
    return lane[first : bisect_left(lane, newest_mm - 0.5 * period_mm)]


def _alone(around: Sequence[float], lane: Sequence[float], period_mm: float) -> int:
    """How many have no other defect one period before or after.

    A flaw of several spots prints them all at each turn: these are no background, either.
    """
    return sum(
        not _holds(lane, place - period_mm) and not _holds(lane, place + period_mm)
        for place in around
    )


def _holds(lane: Sequence[float], at_mm: float) -> bool:
    index = bisect_left(lane, at_mm - 2 * JITTER_MM)
    return index < len(lane) and lane[index] <= at_mm + 2 * JITTER_MM


def _p_value(hits: int, trials: int, window_mm: float, others: int, length_mm: float) -> float:
    """How likely `others` defects in a length make so many hits in windows of `window_mm`."""
    density = (max(others, 0) + 1) / length_mm
    chance = -math.expm1(-density * window_mm / trials)
    return _tail(hits, trials, chance) * (SLOTS - TEETH_MIN)


def _tail(hits: int, trials: int, chance: float) -> float:
    """The probability of at least so many hits."""
    return math.fsum(
        math.comb(trials, count) * chance**count * (1 - chance) ** (trials - count)
        for count in range(hits, trials + 1)
    )
