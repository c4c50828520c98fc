"""Progress of a thread: the watchdog is fed from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SILENT_S_MAX = 5.0  # a thread silent for longer than this no longer feeds the watchdog
# A GPU engine that compiles its kernels anew takes minutes; systemd's unit gives a start as long.
LOADING_S_MAX = 300.0


class Heartbeat:
    """The time at which a thread last made progress. A thread that hangs stops beating."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()
        self._silent_s_max = SILENT_S_MAX

    def beat(self) -> None:
        """Note that the thread makes progress."""
        self._last_s = time.monotonic()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """The thread loads an engine, one step that may take up to `LOADING_S_MAX`."""
        self.beat()
        self._silent_s_max = LOADING_S_MAX
        try:
            yield
        finally:
            self.beat()
            self._silent_s_max = SILENT_S_MAX

    @property
    def silent_s(self) -> float:
        """Time since it made progress, in s."""
        return time.monotonic() - self._last_s

    def is_late(self) -> bool:
        """Whether the thread has been silent for longer than what it does may take."""
        limit_s = self._silent_s_max  # read before the time: a load that ends beats first
        return time.monotonic() - self._last_s > limit_s
