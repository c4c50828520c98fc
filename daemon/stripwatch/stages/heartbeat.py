"""Progress of the threads: what the watchdog is fed from."""

from __future__ import annotations

import time


class Heartbeat:
    """When a thread last got somewhere. A thread that hangs in a call stops beating."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last_s = time.monotonic()

    def beat(self) -> None:
        """The thread is getting on."""
        self._last_s = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last_s
