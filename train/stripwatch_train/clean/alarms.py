"""From distances on held-out clean frames to the limit that gives a wanted rate of false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.defects import find_components

Distances = NDArray[np.float32]  # [h, w] of a frame, in places of 8x8 pixels

ORDINARY = 0.02  # probability of the median place; that of the limit is 0.5
STEP = 0.98  # from one limit tried to the next
ABOVE = 1.02  # the first limit tried, over the largest distance
SURE = 0.95  # two-sided


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the distance, and what was counted at it."""

    distance: float
    steepness: float  # of the logit, for each e-fold of the distance
    alarms: int  # found components in the held-out frames
    metres: float  # of them
    low_per_100_m: float  # the rate lies between these, with a certainty of `SURE`
    high_per_100_m: float

    @property
    def per_100_m(self) -> float:
        """The rate that was counted."""
        return 100 * self.alarms / self.metres


def choose_limit(
    found: Sequence[Distances], image_shape: tuple[int, int], metres: float, per_100_m: float
) -> Limit:
    """The lowest limit above which no more false alarms than wanted are found.

    Args:
        found: of held-out clean frames.
        image_shape: lines, pixels of the network's input.
        metres: of strip in all these frames together.
        per_100_m: false alarms that are wanted at most.
    """
    allowed = math.floor(per_100_m * metres / 100)
    median = float(np.median(np.stack(found)))
    peaks = np.array([distances.max() for distances in found])
    limit, alarms = ABOVE * float(peaks.max()), 0
    while True:
        lower = limit * STEP
        if lower <= median / STEP:
            break
        high = [one for one, peak in zip(found, peaks, strict=True) if peak >= lower]
        count = sum(_components(one, image_shape, lower, median) for one in high)
        if count > allowed:
            break
        limit, alarms = lower, count
    low, most = poisson_interval(alarms)
    return Limit(
        limit, steepness(limit, median), alarms, metres, 100 * low / metres, 100 * most / metres
    )


def steepness(limit: float, median: float) -> float:
    """Of a logit that is 0 at the limit and that of `ORDINARY` at the median distance."""
    return math.log(1 / ORDINARY - 1) / math.log(limit / median)


def probabilities(
    distances: Distances, image_shape: tuple[int, int], limit: float, steep: float
) -> NDArray[np.float32]:
    """Probabilities float32 [lines, pixels], enlarged as engines do it."""
    logits = steep * np.log(np.maximum(distances, 1e-6) / limit)
    plane = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    lines, pixels = image_shape
    return np.asarray(cv2.resize(plane, (pixels, lines), interpolation=cv2.INTER_LINEAR))


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact (Garwood) bounds of the mean of which `count` was drawn, with a certainty of `SURE`."""
    tail = (1 - SURE) / 2
    low = 0.0 if count == 0 else _mean_with(count - 1, 1 - tail)
    return low, _mean_with(count, tail)


def _components(
    distances: Distances, image_shape: tuple[int, int], limit: float, median: float
) -> int:
    plane = probabilities(distances, image_shape, limit, steepness(limit, median))
    return len(find_components(plane >= 0.5).stats) - 1


def _mean_with(count: int, share: float) -> float:
    """The mean of the Poisson distribution that gives `count` or less with this probability."""
    low, high = 0.0, 10.0 * count + 50.0
    for _ in range(80):
        middle = (low + high) / 2
        logs = [k * math.log(middle) - middle - math.lgamma(k + 1) for k in range(count + 1)]
        low, high = (middle, high) if sum(map(math.exp, logs)) > share else (low, middle)
    return low
