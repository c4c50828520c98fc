"""Progress of a thread: the watchdog is fed from it."""

from __future__ import annotations

import time


class Heartbeat:
    """The time at which a thread last made progress. A thread that hangs stops beating."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def beat(self) -> None:
        """Note that the thread makes progress."""
        self._last_s = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last_s
