"""The time at which each frame is sent: at a rate, as recorded, or as fast as possible."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from stripwatch.errors import ConfigError


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Pace of sending; neither = as fast as the receiver takes it."""

    frames_per_s: float | None = None
    recorded: bool = False  # at the intervals of the frames' own times


class Pacer:
    """Waits until a frame is due.

    The schedule is fixed by its start, so a late frame does not delay those after it.
    """

    def __init__(
        self,
        pace: Pace,
        wait: Callable[[float], object],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; the schedule starts with the first frame.

        Args:
            pace: how fast.
            wait: sleeps for a number of seconds, or less when a stop is requested.
            clock_s: a monotonic clock.
        """
        self._pace = pace
        self._wait = wait
        self._clock_s = clock_s
        self._start_s = 0.0
        self._index = 0
        self._first_t_ns = 0

    def wait_for_next(self, t_ns: int | None) -> None:
        """Wait until the next frame, captured at `t_ns`, is due.

        Raises:
            ConfigError: the pace is that of the recording, and the frame carries no time.
        """
        if self._pace.recorded and t_ns is None:
            raise ConfigError("these frames carry no times to pace them by; use --rate N instead")
        if self._index == 0:
            self._start_s = self._clock_s()
            self._first_t_ns = t_ns or 0
        due_s = self._due_s(t_ns or 0)
        self._index += 1
        ahead_s = due_s - self._clock_s()
        if ahead_s > 0:
            self._wait(ahead_s)

    def _due_s(self, t_ns: int) -> float:
        if self._pace.recorded:
            return self._start_s + (t_ns - self._first_t_ns) / 1e9
        if self._pace.frames_per_s:
            return self._start_s + self._index / self._pace.frames_per_s
        return self._start_s
