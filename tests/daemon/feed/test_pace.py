"""The time at which each frame is due."""

from __future__ import annotations

import pytest

from stripwatch.errors import ConfigError
from stripwatch.feed.pace import Pace, Pacer


class FakeClock:
    """A clock that advances only by waiting, or by assignment."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.now_s += seconds


def test_a_rate_is_kept_without_drift() -> None:
    """A frame that is late shortens the waits after it; the times of later frames do not move."""
    clock = FakeClock()
    pacer = Pacer(Pace(frames_per_s=10), clock.wait, clock)
    for work_s in (0.01, 0.25, 0.0, 0.0, 0.0):
        pacer.wait_for_next(None)
        clock.now_s += work_s
    assert clock.waits_s == pytest.approx([0.09, 0.05])
    assert clock.now_s == pytest.approx(100.4)


def test_recorded_intervals_are_kept() -> None:
    """Frames follow at the intervals of their times; one with an earlier time is due at once."""
    clock = FakeClock()
    pacer = Pacer(Pace(recorded=True), clock.wait, clock)
    for t_ns in (7_000_000_000, 7_500_000_000, 7_200_000_000, 9_000_000_000):
        pacer.wait_for_next(t_ns)
    assert clock.waits_s == pytest.approx([0.5, 1.5])
    with pytest.raises(ConfigError, match="--rate"):
        pacer.wait_for_next(None)


def test_without_a_pace_nothing_waits() -> None:
    """As fast as possible."""
    clock = FakeClock()
    pacer = Pacer(Pace(), clock.wait, clock)
    for _ in range(3):
        pacer.wait_for_next(None)
    assert clock.waits_s == []
