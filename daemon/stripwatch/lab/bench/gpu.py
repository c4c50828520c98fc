"""Rates on a GPU: bare engine, one and two batches in flight, daemon, and other runtimes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import IN_FLIGHT, Resources
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import Manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.errors import ConfigError
from stripwatch.inspect.model import model_of
from stripwatch.lab.bench.batches import Timing, filled_ring, run_batches, submitter
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures
from stripwatch.lab.bench.gpu_figures import OURS, Reading, gpu_goals, overlap_limit, summary
from stripwatch.lab.bench.harness import BenchSetup, frames_per_s, running_pipeline, worst_latency
from stripwatch.lab.bench.load_monitor import load_monitor, query_gpus
from stripwatch.lab.bench.other_runtimes import Compute, other_runtimes, prepared

Pixels = list[NDArray[np.uint8]]

TARGETS = ("tensorrt", "tensorrt-rtx")
SIZES = (1, 4, 8, 16)  # frames of a batch
ROUNDS = 3  # of all modes in turn; figures are medians over the rounds
SPAN_BATCHES = 50  # whose copies and computing are timed by the GPU


@dataclass(frozen=True, slots=True)
class EngineUnderTest:
    """The engine that is measured, and files of the same network for other runtimes."""

    folder: Path
    manifest: Manifest
    resources: Resources
    torch_file: Path | None = None
    onnx_file: Path | None = None


def check_gpu_engine(folder: Path, manifest: Manifest) -> None:
    """Refuse an engine that does not run on a GPU.

    Raises:
        ConfigError: the engine is for another target; the message says how to build one.
    """
    if manifest.target not in TARGETS:
        raise ConfigError(
            f"--gpu measures an engine that runs on a GPU, and the one in {folder} is of target "
            f"{manifest.target}; build one with: engine-build MODEL.onnx --target tensorrt-rtx"
        )


def batch_sizes(manifest: Manifest, rows: int | None) -> list[int]:
    """The sizes to measure: those that were asked for, or all that the engine takes."""
    fewest, most = manifest.batch or (1, max(SIZES))
    if rows is not None:
        return [rows]
    return [size for size in SIZES if fewest <= size <= most] or [most]


def modes(setups: list[BenchSetup], subject: EngineUnderTest) -> Figures:
    """Every mode at every batch size; each setup has its own."""
    rows: list[Figures] = []
    not_measured: list[Figures] = []
    goals: list[Figures] = []
    for setup in setups:
        pixels = [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]
        readings, reasons = _rounds(setup, subject, pixels)
        rows += [summary(setup.rows, name, entries) for name, entries in readings.items()]
        not_measured += [
            {"rows": setup.rows, "mode": name, "reason": reason} for name, reason in reasons.items()
        ]
        goals += gpu_goals(setup.rows, readings, _overlap_limit(setup, subject, pixels))
    return {
        "engine": f"{subject.manifest.target} {subject.manifest.precision}, "
        f"{subject.manifest.builder}",
        "gpu": query_gpus("name,driver_version,memory.total") or "unknown",
        "rounds": ROUNDS,
        "modes": rows,
        "not_measured": not_measured,
        "goals": goals,
    }


def _rounds(
    setup: BenchSetup, subject: EngineUnderTest, pixels: Pixels
) -> tuple[dict[str, list[Reading]], dict[str, str]]:
    """The readings of each mode, and for runtimes without readings the reason."""
    computes: dict[str, Compute] = {}
    reasons: dict[str, str] = {}
    for runtime in other_runtimes(subject.torch_file, subject.onnx_file):
        compute, reason = prepared(runtime, setup.rows)
        if compute is None:
            reasons[runtime.name] = reason
        else:
            computes[runtime.name] = compute
    readings: dict[str, list[Reading]] = {name: [] for name in (*OURS, *computes)}
    for _ in range(ROUNDS):
        for name, reading in _engine_modes(setup, subject, pixels).items():
            readings[name].append(reading)
        readings["daemon"].append(_daemon(setup, subject, pixels))
        for name, compute in computes.items():
            readings[name].append(_other_runtime(setup, compute))
    return readings, reasons


@contextmanager
def _opened(
    setup: BenchSetup, subject: EngineUnderTest, pixels: Pixels, timed: bool = False
) -> Iterator[tuple[TensorRtEngine, Callable[[int], None], int]]:
    """The engine on slots that are full, what submits a slot, and how many slots there are."""
    ring = filled_ring(setup, pixels)
    frames = [slot.frames for slot in ring.slots]
    engine = TensorRtEngine(
        subject.folder, subject.manifest, frames, subject.resources.device, timed=timed
    )
    try:
        yield engine, submitter(engine, setup.rows, subject.manifest), len(frames)
    finally:
        engine.close()


def _engine_modes(
    setup: BenchSetup, subject: EngineUnderTest, pixels: Pixels
) -> dict[str, Reading]:
    """The engine alone: without copies, with one batch in flight, and with two."""
    with _opened(setup, subject, pixels) as (engine, start, slots):
        lanes = engine.lanes
        for slot in range(IN_FLIGHT):  # so that bare computing, too, has frames to compute
            start(slot)
            engine.wait(slot)

        def bare() -> Timing:
            with engine.device.current():
                return run_batches(
                    lambda lane: lanes[lane].compute(setup.rows, after=lanes[lane - 1]),
                    lambda lane: lanes[lane].stream.synchronize(),
                    IN_FLIGHT,
                    IN_FLIGHT,
                    setup.seconds,
                )

        def buffered(in_flight: int) -> Timing:
            return run_batches(start, engine.wait, slots, in_flight, setup.seconds)

        return {
            "bare": _watched(setup, bare),
            "single-buffered": _watched(setup, lambda: buffered(1)),
            "double-buffered": _watched(setup, lambda: buffered(IN_FLIGHT)),
        }


def _watched(setup: BenchSetup, measure: Callable[[], Timing]) -> Reading:
    with load_monitor() as load:
        timing = measure()
    return Reading(timing.per_s * setup.rows, timing.batch_ms, load.gpu_percent, load.cpu_percent)


def _daemon(setup: BenchSetup, subject: EngineUnderTest, pixels: Pixels) -> Reading:
    """The whole daemon; a batch's time runs from submission to result."""
    manifest = subject.manifest
    factory = engine_factory(subject.folder, manifest, subject.resources)
    with (
        running_pipeline(setup, model_of(manifest), factory) as pipeline,
        feed_process(setup.frames_at, pixels),
    ):
        frames_per_s(pipeline, 0)  # until frames flow
        ledger = pipeline.outbox.ledger
        with load_monitor() as load:
            before, started_s = ledger.inspected, time.monotonic()
            latency_ms = worst_latency(pipeline, setup.seconds)
            rate = (ledger.inspected - before) / (time.monotonic() - started_s)
    return Reading(rate, latency_ms.get("engine", {}), load.gpu_percent, load.cpu_percent)


def _other_runtime(setup: BenchSetup, compute: Compute) -> Reading:
    timing = run_batches(lambda _: None, lambda _: compute(), 1, 1, setup.seconds)
    return Reading(timing.per_s * setup.rows, timing.batch_ms)


def _overlap_limit(setup: BenchSetup, subject: EngineUnderTest, pixels: Pixels) -> float:
    """Speed-up of two batches in flight over one, if only the GPU limits it."""
    copies_ms, computes_ms = [], []
    with _opened(setup, subject, pixels, timed=True) as (engine, start, _):
        for _ in range(SPAN_BATCHES):
            start(0)
            engine.wait(0)
            spans = {name: end - begin for name, (begin, end) in engine.spans_ms(0).items()}
            computes_ms.append(spans["compute"])
            copies_ms.append(spans["upload"] + spans["download"])
    return overlap_limit(statistics.median(copies_ms), statistics.median(computes_ms))
