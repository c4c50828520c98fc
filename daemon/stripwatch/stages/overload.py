"""Overload: a state in which frames without a slot are dropped at the door (ADR 5).

    normal ---- messages have waited for a slot for OVERLOAD_AFTER_MS ----> overload
    overload -- nothing was dropped for OVERLOAD_HOLD_MS -----------------> normal

A burst that is shorter waits in ZeroMQ's queue and loses nothing. In overload a frame without a
slot is dropped at once, so that it is counted as what it is and those behind it are fresh.
Times are monotonic nanoseconds and come from the caller.
"""

from __future__ import annotations

OVERLOAD_AFTER_MS = 30  # of waiting messages; at 800 frames/s, less than ZeroMQ's queue holds
OVERLOAD_HOLD_MS = 1000  # after the last frame that was dropped


class Overload:
    """Whether frames are dropped, over all inputs; only the receive thread uses it."""

    def __init__(self) -> None:
        # By input: first lack of a slot since its queue was last empty.
        self._waiting_since_ns: dict[str, int] = {}
        self._until_ns = 0

    def must_drop(self, endpoint: str, now_ns: int) -> bool:
        """Whether a message that waits on an input, while no slot is free, is to be dropped."""
        since_ns = self._waiting_since_ns.setdefault(endpoint, now_ns)
        return now_ns - since_ns > OVERLOAD_AFTER_MS * 1_000_000 or now_ns < self._until_ns

    def queue_is_empty(self, endpoint: str) -> None:
        """Nothing waits on an input any more."""
        self._waiting_since_ns.pop(endpoint, None)

    def frame_dropped(self, now_ns: int) -> None:
        """A frame was dropped: the state lasts for another `OVERLOAD_HOLD_MS`."""
        self._until_ns = now_ns + OVERLOAD_HOLD_MS * 1_000_000

    def explains_loss(self, endpoint: str, now_ns: int) -> bool:
        """Whether messages of an input have waited for a slot: its queue may have overflowed."""
        return endpoint in self._waiting_since_ns or now_ns < self._until_ns
