"""The real pipeline in this process, for as long as a measurement takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stripwatch.bench.feed import CAMERA
from stripwatch.config import Batch, Camera, Config, EngineSection, Input, Line, Publish
from stripwatch.engines.base import EngineFactory
from stripwatch.model import Model
from stripwatch.pipeline import Pipeline
from stripwatch.wire.event import Status

SETTLE_S = 1.0  # before a measurement: queues fill, caches warm


@dataclass(frozen=True, slots=True)
class Bed:
    """What every measurement of a run has in common."""

    frame_shape: tuple[int, int]
    rows: int
    seconds: float
    sockets: Path  # folder for ipc sockets

    @property
    def frames_at(self) -> str:
        """Where frames arrive."""
        return f"ipc://{self.sockets}/frames"


@contextmanager
def running(bed: Bed, model: Model, factory: EngineFactory) -> Iterator[Pipeline]:
    """A pipeline on PULL, so that the feed is held back and nothing is dropped."""
    lines, pixels = bed.frame_shape
    config = Config(
        line=Line(frame_lines=lines, frame_pixels=pixels, mm_per_line=0.5, mm_per_pixel=0.625),
        cameras=(Camera(name=CAMERA),),
        inputs=(Input(endpoint=bed.frames_at, pattern="pull"),),
        engine=EngineSection(folder=""),
        publish=Publish(endpoint=f"ipc://{bed.sockets}/events"),
        batch=Batch(rows=bed.rows),
    )
    pipeline = Pipeline(config, model, factory)
    pipeline.start()
    try:
        yield pipeline
    finally:
        pipeline.stop()
        pipeline.join(60)
    if pipeline.failure:
        raise pipeline.failure


def frames_per_s(pipeline: Pipeline, seconds: float) -> float:
    """Frames inspected per second, once the pipeline runs steadily."""
    ledger = pipeline.deliverer.ledger
    while ledger.inspected == 0 and pipeline.failure is None:
        time.sleep(0.01)
    time.sleep(SETTLE_S)
    first, started_s = ledger.inspected, time.monotonic()
    time.sleep(seconds)
    return (ledger.inspected - first) / (time.monotonic() - started_s)


def worst_latency(pipeline: Pipeline, seconds: float) -> dict[str, dict[str, float]]:
    """Latency by stage: the median second's p50, the worst second's p99 and max, ms."""
    seen: list[Status] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(0.05)
        status = pipeline.telemetry.latest
        if status and status.latency_ms and (not seen or status is not seen[-1]):
            seen.append(status)
    steady = seen[1:] or seen
    stages = steady[0].latency_ms if steady else {}
    return {
        stage: {
            "p50": sorted(status.latency_ms[stage]["p50"] for status in steady)[len(steady) // 2],
            "p99": max(status.latency_ms[stage]["p99"] for status in steady),
            "max": max(status.latency_ms[stage]["max"] for status in steady),
        }
        for stage in stages
    }
