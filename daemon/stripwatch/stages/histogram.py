"""Histograms of durations: one thread adds, any thread reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# From a thousandth of a second, in steps of two and two and a half, to what alarms anyone.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of durations by upper bound, in seconds."""

    def __init__(self, bounds_s: Sequence[float] = BOUNDS_S) -> None:
        self._bounds_s = np.asarray(bounds_s)
        # Replaced as a whole: counts and sum that a reader sees belong together.
        self._totals: tuple[tuple[int, ...], float] = ((0,) * (len(bounds_s) + 1), 0.0)

    def add(self, values_s: ArrayLike) -> None:
        """Add one duration or many."""
        values = np.atleast_1d(np.asarray(values_s, np.float64))
        places = np.searchsorted(self._bounds_s, values)
        added = np.bincount(places, minlength=len(self._bounds_s) + 1).tolist()
        counts, sum_s = self._totals
        self._totals = (
            tuple(count + more for count, more in zip(counts, added, strict=True)),
            sum_s + float(values.sum()),
        )

    def cumulated(self) -> tuple[list[tuple[str, int]], float]:
        """Upper bounds with the number of durations up to each, and the sum of all, in seconds."""
        counts, sum_s = self._totals
        names = [*(f"{bound:g}" for bound in self._bounds_s), "+Inf"]
        return list(zip(names, np.cumsum(counts).tolist(), strict=True)), sum_s
