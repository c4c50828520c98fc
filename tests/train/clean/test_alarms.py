"""The limit of the distance, and what is known of the rate of false alarms at it."""

from __future__ import annotations

import numpy as np
import pytest

from stripwatch.inspect.defects import find_components
from stripwatch_train.clean.alarms import (
    ORDINARY,
    Distances,
    choose_limit,
    poisson_interval,
    probabilities,
    steepness,
)

IMAGE = (64, 128)
CELLS = (8, 16)


def frames(*peaks: float) -> list[Distances]:
    """Frames of distance 1 with one place of another distance each."""
    found = []
    for peak in peaks:
        plane = np.ones(CELLS, np.float32)
        plane[3, 5] = peak
        found.append(plane)
    return found


def test_as_many_alarms_are_left_as_are_wanted() -> None:
    """Ten frames are 100 m and have peaks of 2 to 11, which enlarging lowers a little."""
    limit = choose_limit(frames(*range(2, 12)), IMAGE, metres=100, per_100_m=3)
    assert limit.alarms == 3
    assert limit.per_100_m == 3
    assert 7 < limit.distance < 9


def test_the_alarms_are_the_components_that_the_daemon_finds() -> None:
    found = frames(*range(2, 12))
    limit = choose_limit(found, IMAGE, metres=100, per_100_m=4)
    count = 0
    for one in found:
        plane = probabilities(one, IMAGE, limit.distance, limit.steepness)
        count += len(find_components(plane >= 0.5).stats) - 1
    assert count == limit.alarms == 4


def test_a_rate_of_less_than_one_in_all_frames_puts_the_limit_above_them() -> None:
    """Just above: a little lower, the highest of them would be one."""
    found = frames(2, 3, 4)
    limit = choose_limit(found, IMAGE, metres=3, per_100_m=10)
    assert limit.alarms == 0
    assert probabilities(found[2], IMAGE, limit.distance, limit.steepness).max() < 0.5
    lower = 0.97 * limit.distance
    assert probabilities(found[2], IMAGE, lower, steepness(lower, 1)).max() >= 0.5
    assert limit.high_per_100_m == pytest.approx(123, abs=1)


def test_the_limit_stays_above_the_median_however_many_alarms_are_wanted() -> None:
    limit = choose_limit(frames(2, 3, 4), IMAGE, metres=3, per_100_m=1e6)
    assert 1 < limit.distance < 1.1


def test_the_median_place_has_a_probability_of_two_percent() -> None:
    limit = choose_limit(frames(2, 3, 4), IMAGE, metres=3, per_100_m=10)
    plane = probabilities(frames(1)[0], IMAGE, limit.distance, limit.steepness)
    assert plane[0, 0] == pytest.approx(ORDINARY, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)]
)
def test_bounds_are_those_of_garwoods_table(count: int, low: float, high: float) -> None:
    assert poisson_interval(count) == pytest.approx((low, high), rel=1e-3)


def test_bounds_of_many_alarms_are_computed_without_overflow() -> None:
    low, high = poisson_interval(2000)
    assert 1900 < low < 2000 < high < 2100
