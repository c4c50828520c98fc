"""Roll marks by autocorrelation, as published before the comb test: for comparison alone.

The strip is cut into eight slices across, since "the peak stands out better" there than over the
whole width (EP0594220, after JP-A-58-156842). In each, all distances of two defects within a window
are counted; a distance that is much more frequent than chance allows is a period. The patents
compare the peak with a constant; here it is compared with what defects at random places would give,
so that the method is as careful as its competitor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLICES = 8
WINDOW_MM = 64_000.0  # as far as the comb test looks back
STEP_MM = 4_000.0
BIN_MM = 4.0
BINS = 3  # that a peak spreads over: jitter and slip
P_MAX = 1e-10  # 36 km have 7 * 10^7 peaks to compare, most of them more than once


@dataclass(frozen=True, slots=True)
class Alarm:
    """A period that was found."""

    at_mm: float
    period_mm: float
    slice: int


def alarms_of_slices(
    places: NDArray[np.float64], length_mm: float, width_mm: float, period_mm: tuple[float, float]
) -> list[Alarm]:
    """The first alarm of each slice.

    Args:
        places: float64 [defects, 2], mm along and across, by the first.
        length_mm: of the strip.
        width_mm: of the strip.
        period_mm: smallest and largest period.
    """
    numbers = np.minimum(places[:, 1] * SLICES // width_mm, SLICES - 1)
    found = (
        _first_alarm(places[numbers == number, 0], length_mm, period_mm, number)
        for number in range(SLICES)
    )
    return [alarm for alarm in found if alarm]


def _first_alarm(
    along_mm: NDArray[np.float64], length_mm: float, period_mm: tuple[float, float], number: int
) -> Alarm | None:
    edges = np.arange(period_mm[0], period_mm[1] + BIN_MM, BIN_MM)
    for front_mm in np.arange(STEP_MM, length_mm + STEP_MM, STEP_MM).tolist():
        first, end = np.searchsorted(along_mm, (front_mm - WINDOW_MM, front_mm))
        seen = along_mm[first:end]
        counts, _ = np.histogram(np.subtract.outer(seen, seen), edges)
        peaks = np.convolve(counts, np.ones(BINS), "same")
        best = int(np.argmax(peaks))
        window_mm = min(WINDOW_MM, front_mm)
        expected = len(seen) ** 2 / window_mm * BIN_MM * BINS
        if _tail(int(peaks[best]), expected) <= P_MAX:
            return Alarm(front_mm, float(edges[best] + BIN_MM / 2), number)
    return None


def _tail(count: int, expected: float) -> float:
    """The probability that a Poisson variable is at least `count`, from above."""
    if count <= expected or expected == 0:
        return 1.0
    term = math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
    return term / (1 - expected / (count + 1))  # a geometric series
