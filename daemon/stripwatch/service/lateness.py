"""Lateness: a state in which frames stay in the daemon for too long, although none is dropped."""

from __future__ import annotations

from collections.abc import Mapping

from stripwatch.wire.event import Percentile

LATE_MS_MAX = 1000.0  # median time of a frame in the daemon: seconds of strip pass meanwhile
# Without `receive_wait`, the time from the camera to the daemon.
OWN_STAGES = ("batch_wait", "engine", "inspect", "publish")


def own_latency_ms(latency_ms: Mapping[str, Mapping[Percentile, float]]) -> float:
    """Sum of the median latencies of the daemon's own stages, in ms; 0 without a frame."""
    return sum(latency_ms[stage]["p50"] for stage in OWN_STAGES if stage in latency_ms)


class Lateness:
    """Whether frames are late, by the latest status period."""

    def __init__(self) -> None:
        self.late_ms = 0.0  # while frames are late, how late

    @property
    def is_late(self) -> bool:
        """Whether frames are late."""
        return self.late_ms > 0

    def update(self, own_ms: float) -> bool:
        """Follow the latency of a status period; True if the state has changed."""
        was_late = self.is_late
        self.late_ms = own_ms if own_ms > LATE_MS_MAX else 0.0
        return was_late != self.is_late
