"""Rates of counts that are read now and then."""

from __future__ import annotations

import pytest

from stripwatch.service.rate import Rate


def test_a_rate_is_that_since_the_reading_before() -> None:
    rate = Rate(10.0)
    assert rate.update(400, 11.0) == 400
    assert rate.update(500, 13.0) == 50
    assert rate.update(500, 14.0) == 0


def test_two_readings_at_once_show_no_burst_and_lose_no_count() -> None:
    """What a stall held back is counted over the whole time until the next reading."""
    rate = Rate(0.0)
    assert rate.update(100, 1.0) == 100
    assert rate.update(110, 3.0) == pytest.approx(5)
    assert rate.update(300, 3.001) == pytest.approx(5)
    assert rate.update(400, 4.0) == pytest.approx(290)
