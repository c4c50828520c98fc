"""The daemon under a camera that does not wait: latency, drops, and a hot-swap."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import EngineFactory
from stripwatch.errors import DeviceError
from stripwatch.inspect.model import Model
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures, goal_row
from stripwatch.lab.bench.harness import (
    BenchSetup,
    frames_per_s,
    running_pipeline,
    statuses,
    worst,
    worst_latency,
)
from stripwatch.pipeline import Pipeline
from stripwatch.stages.outbox import STATUS_PERIOD_S
from stripwatch.wire.event import Status

P99_GROWTH_MAX = 2.0  # during a hot-swap
P99_MS_MAX = 10.0  # goal, from capture to events
OFFERED_SHARE_MIN = 0.98  # of the rate asked for; below it the sender was the bottleneck
HEADROOM = 1.25  # capacity over load; with less the swap is measured at half capacity
LATENCY_S_MIN = 3.0  # percentiles come once a second
SWAP_S_MAX = 300.0


def under_load(setup: BenchSetup, model: Model, factory: EngineFactory, rate: float) -> Figures:
    """One camera offers `rate` frames/s on SUB, where the daemon drops what it cannot take."""
    with _offered(setup, model, factory, rate) as pipeline:
        before, started_s = _counts(pipeline), time.monotonic()
        latency_ms = worst_latency(pipeline, max(LATENCY_S_MIN, setup.seconds))
        counts, taken_s = _counts(pipeline) - before, time.monotonic() - started_s
    inspected = counts.pop("inspected", 0)
    offered = (inspected + counts.total()) / taken_s
    p99 = latency_ms.get("total", {}).get("p99", math.inf)
    met = offered >= OFFERED_SHARE_MIN * rate and not counts and p99 <= P99_MS_MAX
    return {
        "rows": setup.rows,
        "wait_ms": setup.wait_ms,
        "asked_frames_per_s": rate,
        "offered_frames_per_s": round(offered, 1),
        "inspected_frames_per_s": round(inspected / taken_s, 1),
        "drops": _named(counts),
        "latency_ms": latency_ms,
        "goals": [
            goal_row(
                setup.rows,
                f"p99 of total at {rate:g} frames/s",
                f"<= {P99_MS_MAX:g} ms, no drop",
                f"{p99:.1f} ms, {counts.total()} dropped",
                met=met,
            )
        ],
    }


def hot_swap(setup: BenchSetup, model: Model, factory: EngineFactory, rate: float) -> Figures:
    """Replace the engine by an equal one while frames flow at `rate`, or at half load."""
    with (
        running_pipeline(setup, model, factory) as pipeline,
        feed_process(setup.frames_at, _pixels(setup)),
    ):
        capacity = frames_per_s(pipeline, setup.seconds)
    rate = rate if capacity >= HEADROOM * rate else capacity / 2
    with _offered(setup, model, factory, rate) as pipeline:
        before_ms = worst_latency(pipeline, max(LATENCY_S_MIN, setup.seconds)).get("total", {})
        start = _counts(pipeline)
        swap_s, seen = _swap(pipeline, model, factory)
        lost = _counts(pipeline) - start
    inspected = lost.pop("inspected", 0)
    during_ms = worst(seen).get("total", {})
    grown = during_ms.get("p99", 0.0) / max(before_ms.get("p99", 0.0), 1e-3)
    return {
        "rows": setup.rows,
        "capacity_frames_per_s": round(capacity, 1),
        "offered_frames_per_s": round(rate, 1),
        "swap_s": round(swap_s, 2),
        "inspected_meanwhile": inspected,
        "total_ms": {"before": before_ms, "during": during_ms},
        "goals": [
            goal_row(setup.rows, "frames lost in a hot-swap", "0", _named(lost), met=not lost),
            goal_row(
                setup.rows,
                "p99 during over before",
                f"<= {P99_GROWTH_MAX:g}",
                f"{grown:.2f}",
                met=grown <= P99_GROWTH_MAX,
            ),
        ],
    }


def _swap(pipeline: Pipeline, model: Model, factory: EngineFactory) -> tuple[float, list[Status]]:
    """Swap; returns its duration in s, and the status of each second that it touched."""
    began_s = time.monotonic()
    swap = pipeline.swap(model, factory)
    assert swap is not None  # nothing else swaps here, and the engine is not being rebuilt
    ended_s = 0.0

    def is_swapping() -> bool:
        nonlocal ended_s
        if swap.over.is_set():
            ended_s = ended_s or time.monotonic()
        # The status of the second in which it ended is published at its end.
        return time.monotonic() < (
            ended_s + STATUS_PERIOD_S * 1.5 if ended_s else began_s + SWAP_S_MAX
        )

    seen = statuses(pipeline, is_swapping)
    if swap.error is not None:
        raise swap.error
    if not ended_s:
        raise DeviceError(f"the engine was not replaced within {SWAP_S_MAX:g} s")
    return ended_s - began_s, seen


def _named(drops: Counter[str]) -> str:
    return ", ".join(f"{cause} {count}" for cause, count in drops.items()) or "none"


def _pixels(setup: BenchSetup) -> list[NDArray[np.uint8]]:
    return [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]


@contextmanager
def _offered(
    setup: BenchSetup, model: Model, factory: EngineFactory, rate: float
) -> Iterator[Pipeline]:
    """A daemon on SUB, once frames flow steadily."""
    setup = replace(setup, pattern="sub")
    with (
        running_pipeline(setup, model, factory) as pipeline,
        feed_process(setup.frames_at, _pixels(setup), rate, "pub"),
    ):
        frames_per_s(pipeline, 0)  # until frames flow steadily
        yield pipeline


def _counts(pipeline: Pipeline) -> Counter[str]:
    """Frames so far: inspected, and dropped by cause."""
    ledger = pipeline.outbox.ledger
    counts: Counter[str] = Counter(inspected=ledger.inspected)
    for (_, cause), count in list(ledger.missed.items()):
        counts[str(cause)] += count
    for cause, count in list(pipeline.receiver.arrivals.rejected.items()):
        counts[str(cause)] += count
    return counts
