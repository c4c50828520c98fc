"""Room for copies of pixels that wait for a thread which works beside the line."""

from __future__ import annotations

import threading

REST = 3.0  # times as long as such a thread worked: it takes a quarter of a core from others
IDLE_S = 0.2  # its longest wait for work, so that the heartbeat continues
FINISH_S_MAX = 2.0  # for the last of its work, when the daemon stops


class Room:
    """A number of bytes that threads take and give back; anything fits where nothing is held."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._held_bytes = 0

    def take(self, size: int) -> bool:
        """Take so many bytes; False: there is no room for them."""
        with self._lock:
            has_room = self._held_bytes == 0 or self._held_bytes + size <= self._bytes_max
            if has_room:
                self._held_bytes += size
        return has_room

    def give_back(self, size: int) -> None:
        """Give back so many bytes."""
        with self._lock:
            self._held_bytes -= size
