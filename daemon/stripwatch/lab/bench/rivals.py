"""The daemon beside what a team would write today, on the same frames and network, in one run.

Each publishes a result for every frame; one more process receives them and looks at its clock.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import EngineFactory
from stripwatch.errors import DeviceError
from stripwatch.inspect.model import Model
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures, goal_row
from stripwatch.lab.bench.harness import SETTLE_S, BenchSetup, running_pipeline
from stripwatch.lab.bench.listener import FrameResults, frame_listener_process
from stripwatch.lab.bench.rival_loops import RUNTIMES, run_loop

ROUNDS = 3
RATIO = 2.0  # goal: the daemon over the best rival
LATENCY_S_MIN = 4.0
START_S_MAX = 120.0
DAEMON = "stripwatch"

System = Callable[[], AbstractContextManager[None]]


def rivals(setup: BenchSetup, model: Model, factory: EngineFactory, onnx: Path) -> Figures:
    """Frames per second, and latency at half the rate of the slowest, of each system."""
    pixels = [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]
    systems: dict[str, System] = {
        f"one loop, {runtime}": partial(_loop, setup, runtime, onnx) for runtime in RUNTIMES
    }
    systems[DAEMON] = partial(_daemon, setup, model, factory)
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(ROUNDS):
        for name, system in systems.items():
            rates[name].append(_rate(setup, system, pixels))
    medians = {name: statistics.median(of_system) for name, of_system in rates.items()}
    offered = min(medians.values()) / 2
    latencies = {name: _latency_ms(setup, each, pixels, offered) for name, each in systems.items()}
    best = max(rate for name, rate in medians.items() if name != DAEMON)
    ratio = medians[DAEMON] / best
    return {
        "offered_frames_per_s": round(offered, 1),
        "modes": [
            {
                "system": name,
                "frames_per_s": round(medians[name], 1),
                "p50_ms": round(float(np.percentile(latencies[name], 50)), 1),
                "p99_ms": round(float(np.percentile(latencies[name], 99)), 1),
                "rounds": " ".join(f"{rate:.1f}" for rate in rates[name]),
            }
            for name in systems
        ],
        "goals": [
            goal_row(
                setup.rows,
                "stripwatch / the best rival",
                f">= {RATIO:g}",
                round(ratio, 2),
                met=ratio >= RATIO,
            )
        ],
    }


@contextmanager
def _loop(setup: BenchSetup, runtime: str, onnx: Path) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(
        target=run_loop, args=(runtime, onnx, setup.frames_at, setup.events_at), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


@contextmanager
def _daemon(setup: BenchSetup, model: Model, factory: EngineFactory) -> Iterator[None]:
    with running_pipeline(setup, model, factory):
        yield


@contextmanager
def _running(
    setup: BenchSetup, system: System, pixels: list[NDArray[np.uint8]], rate: float | None
) -> Iterator[FrameResults]:
    """A system at work, once its results arrive.

    Raises:
        DeviceError: none has arrived in time.
    """
    with (
        system(),
        frame_listener_process(setup.events_at) as results,
        feed_process(setup.frames_at, pixels, rate),
    ):
        until_s = time.monotonic() + START_S_MAX
        while results.count() == 0:
            if time.monotonic() > until_s:
                raise DeviceError(f"no result came within {START_S_MAX:g} s; see the errors above")
            time.sleep(0.01)
        time.sleep(SETTLE_S)
        yield results


def _rate(setup: BenchSetup, system: System, pixels: list[NDArray[np.uint8]]) -> float:
    with _running(setup, system, pixels, None) as results:
        before, started_s = results.count(), time.monotonic()
        time.sleep(setup.seconds)
        return (results.count() - before) / (time.monotonic() - started_s)


def _latency_ms(
    setup: BenchSetup, system: System, pixels: list[NDArray[np.uint8]], rate: float
) -> NDArray[np.float64]:
    """From capture to result, of each frame, while frames come at a rate that all can take."""
    with _running(setup, system, pixels, rate) as results:
        before = results.count()
        time.sleep(max(LATENCY_S_MIN, setup.seconds))
        return results.latencies_ms(before)
