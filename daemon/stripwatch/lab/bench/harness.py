"""The real pipeline in this process, and its rate and latency while it runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    Publish,
)
from stripwatch.engines.base import EngineFactory
from stripwatch.inspect.model import Model
from stripwatch.lab.bench.feed import CAMERA
from stripwatch.pipeline import Pipeline
from stripwatch.wire.event import Status

Latency = dict[str, dict[str, float]]  # p50, p99 and max in ms, by stage

SETTLE_S = 1.0  # before a measurement: queues fill, caches warm


@dataclass(frozen=True, slots=True)
class BenchSetup:
    """Settings that all measurements of a bench share."""

    frame_shape: tuple[int, int]
    rows: int
    seconds: float
    sockets: Path  # folder for ipc sockets
    wait_ms: float = 20.0  # of a slot for more frames
    pattern: Literal["pull", "sub"] = "pull"  # PULL holds the camera back; SUB drops
    frame_results: bool = False  # publish one for every frame

    @property
    def frames_at(self) -> str:
        """Where frames arrive."""
        return f"ipc://{self.sockets}/frames"

    @property
    def events_at(self) -> str:
        """Where events leave."""
        return f"ipc://{self.sockets}/events"


@contextmanager
def running_pipeline(setup: BenchSetup, model: Model, factory: EngineFactory) -> Iterator[Pipeline]:
    """Run a pipeline for the length of a block; on PULL it holds the feed back, nothing is dropped.

    Raises:
        DeviceError: the pipeline failed meanwhile.
    """
    with (
        tempfile.TemporaryDirectory(prefix="stripwatch-") as journal_folder,
        running_config(bench_config(setup, journal_folder), model, factory) as pipeline,
    ):
        yield pipeline


@contextmanager
def running_config(config: Config, model: Model, factory: EngineFactory) -> Iterator[Pipeline]:
    """The same with a configuration of one's own.

    Raises:
        DeviceError: the pipeline failed meanwhile.
    """
    pipeline = Pipeline(config, model, factory)
    pipeline.start()
    try:
        yield pipeline
    finally:
        pipeline.stop()
        pipeline.join(60)
    if pipeline.failure:
        raise pipeline.failure


def bench_config(setup: BenchSetup, journal_folder: str) -> Config:
    """The configuration of a line with one camera."""
    lines, pixels = setup.frame_shape
    return Config(
        line=Geometry(frame_lines=lines, frame_pixels=pixels, mm_per_line=0.5, mm_per_pixel=0.625),
        cameras=(Camera(name=CAMERA),),
        inputs=(Input(endpoint=setup.frames_at, pattern=setup.pattern),),
        engine=EngineSection(folder=""),
        publish=Publish(endpoint=setup.events_at, frame_results=setup.frame_results),
        batch=Batch(rows=setup.rows, wait_ms=setup.wait_ms),
        journal=JournalSection(folder=journal_folder),
    )


def frames_per_s(pipeline: Pipeline, seconds: float) -> float:
    """Frames inspected per second, once the pipeline runs steadily."""
    ledger = pipeline.outbox.ledger
    while ledger.inspected == 0 and pipeline.failure is None:
        time.sleep(0.01)
    time.sleep(SETTLE_S)
    first, started_s = ledger.inspected, time.monotonic()
    time.sleep(seconds)
    return (ledger.inspected - first) / (time.monotonic() - started_s)


def worst_latency(pipeline: Pipeline, seconds: float) -> Latency:
    """Latency by stage over `seconds`; see `worst`."""
    until_s = time.monotonic() + seconds
    return worst(statuses(pipeline, lambda: time.monotonic() < until_s))


def statuses(pipeline: Pipeline, is_running: Callable[[], bool]) -> list[Status]:
    """The status of each second that ends while a condition holds.

    The first is left out if there are others: its second began before the measurement.
    """
    seen: list[Status] = []
    while is_running() and pipeline.failure is None:
        time.sleep(0.05)
        status = pipeline.telemetry.latest
        if status and status.latency_ms and (not seen or status is not seen[-1]):
            seen.append(status)
    return seen[1:] or seen


def worst(seen: list[Status]) -> Latency:
    """By stage: the median second's p50, the worst second's p99 and max, ms."""
    stages = seen[0].latency_ms if seen else {}
    return {
        stage: {
            "p50": sorted(status.latency_ms[stage]["p50"] for status in seen)[len(seen) // 2],
            "p99": max(status.latency_ms[stage]["p99"] for status in seen),
            "max": max(status.latency_ms[stage]["max"] for status in seen),
        }
        for stage in stages
    }
