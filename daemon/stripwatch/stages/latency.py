"""Latency by stage, over the frames since the last report."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from stripwatch.stages.histogram import Histogram
from stripwatch.wire.event import Percentile

WINDOW_FRAMES = 8192  # more frames than this between two reports: the oldest are overwritten


class Stage(IntEnum):
    """Stages of a frame's way, in order."""

    RECEIVE_WAIT = 0  # capture to receipt, by the wall clock
    BATCH_WAIT = 1  # receipt to submission to the engine
    ENGINE = 2  # submission to result
    INSPECT = 3  # result to defects, with the wait for delivery
    PUBLISH = 4  # defects to events sent
    TOTAL = 5  # capture to events sent, by the wall clock


class LatencyWindow:
    """The latest frames' latencies, in memory allocated once."""

    def __init__(self) -> None:
        self._values_ms = np.zeros((WINDOW_FRAMES, len(Stage)), np.float32)
        self._frames = 0
        self.histograms = {stage: Histogram() for stage in Stage}  # since the start

    def add(self, values_ms: tuple[float, ...]) -> None:
        """Add one frame's latency of every stage, in the order of `Stage`; NaN: unknown."""
        self._values_ms[self._frames % WINDOW_FRAMES] = values_ms
        self._frames += 1

    def add_all(self, frames_ms: Iterable[tuple[float, ...]]) -> None:
        """Add several frames."""
        for values_ms in frames_ms:
            self.add(values_ms)

    def take(self) -> dict[str, dict[Percentile, float]]:
        """p50, p99 and max in ms by stage since the last take, of the stages that are known."""
        values_ms = self._values_ms[: min(self._frames, WINDOW_FRAMES)]
        self._frames = 0
        taken: dict[str, dict[Percentile, float]] = {}
        for stage in Stage:
            column_ms = values_ms[:, stage]
            known_ms = column_ms[~np.isnan(column_ms)]
            if len(known_ms):
                self.histograms[stage].add(known_ms / 1000)
                p50, p99, top = np.percentile(known_ms, (50, 99, 100)).tolist()
                taken[stage.name.lower()] = {
                    "p50": round(p50, 3),
                    "p99": round(p99, 3),
                    "max": round(top, 3),
                }
        return taken
