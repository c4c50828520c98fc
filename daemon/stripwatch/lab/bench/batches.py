"""Batches through an engine without the daemon around it, and their times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stripwatch.engines.base import Engine
from stripwatch.engines.manifest import Manifest
from stripwatch.inspect.model import model_of
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.stages.slots import SlotRing


@dataclass(frozen=True, slots=True)
class Timing:
    """Rate of batches, and the time that each took."""

    per_s: float
    batch_ms: dict[str, float]  # p50, p99, max; from its start to its end


def run_batches(
    start: Callable[[int], object],
    finish: Callable[[int], object],
    places: int,
    in_flight_max: int,
    seconds: float,
) -> Timing:
    """Run batches in places 0, 1, ... in turn, `in_flight_max` of them at the same time."""
    in_flight: deque[tuple[int, float]] = deque()
    taken_ms: list[float] = []
    place, started_s = 0, time.monotonic()
    while time.monotonic() - started_s < seconds or not taken_ms:
        while len(in_flight) < in_flight_max:
            in_flight.append((place, time.perf_counter()))
            start(place)
            place = (place + 1) % places
        oldest, since_s = in_flight.popleft()
        finish(oldest)
        taken_ms.append((time.perf_counter() - since_s) * 1000)
    taken_s = time.monotonic() - started_s
    while in_flight:
        finish(in_flight.popleft()[0])
    return Timing(len(taken_ms) / taken_s, percentiles(taken_ms))


def percentiles(values: list[float]) -> dict[str, float]:
    """The p50, p99 and max of some values."""
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": max(values)}


def filled_ring(setup: BenchSetup, pixels: list[np.ndarray]) -> SlotRing:
    """The daemon's slots, filled with frames."""
    ring = SlotRing(setup.rows, setup.frame_shape)
    for index, slot in enumerate(ring.slots):
        for row in range(setup.rows):
            slot.frames[row] = pixels[(index * setup.rows + row) % len(pixels)]
    return ring


def submitter(engine: Engine, rows: int, manifest: Manifest) -> Callable[[int], None]:
    """A function that submits a slot's batch with the manifest's thresholds."""
    thresholds = model_of(manifest).thresholds
    return lambda slot: engine.submit(slot, rows, thresholds)
