"""How much of the GPU reaches the events: bare, buffered, the whole daemon, and other runtimes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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
from stripwatch.lab.bench.feed import feeding, make_frames
from stripwatch.lab.bench.line import Bed, frames_per_s, running, worst_latency
from stripwatch.lab.bench.measure import (
    SEED,
    Figures,
    Timing,
    filled_ring,
    in_turn,
    ratios,
    submitter,
)
from stripwatch.lab.bench.rivals import Compute, prepared, rivals
from stripwatch.lab.bench.watch import query_gpus, watch

Pixels = list[NDArray[np.uint8]]

TARGETS = ("tensorrt", "tensorrt-rtx")
SIZES = (1, 4, 8, 16)  # frames of a batch
ROUNDS = 3  # of all modes in turn; figures are medians over the rounds
SPAN_BATCHES = 50  # whose copies and computing are timed by the GPU
DAEMON_OVER_BARE_MIN = 0.97
DAEMON_OVER_PYTORCH_MIN = 3.0
OURS = ("bare", "single-buffered", "double-buffered", "daemon")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured."""

    folder: Path
    manifest: Manifest
    resources: Resources
    torch_file: Path | None = None
    onnx_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One mode in one round."""

    frames_per_s: float
    batch_ms: dict[str, float]
    gpu_percent: float | None = None
    cpu_percent: float | None = None


def check_gpu_engine(folder: Path, manifest: Manifest) -> None:
    """Refuse an engine that does not run on a GPU.

    Raises:
        ConfigError: says how to build one that does.
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


def modes(beds: list[Bed], setting: Setting) -> Figures:
    """Every mode at every batch size; each bed has its own."""
    rows: list[Figures] = []
    not_measured: list[Figures] = []
    goals: list[Figures] = []
    for bed in beds:
        pixels = [frame.pixels for frame in make_frames(SEED, bed.frame_shape)]
        readings, reasons = _rounds(bed, setting, pixels)
        rows += [summary(bed.rows, name, entries) for name, entries in readings.items()]
        not_measured += [
            {"rows": bed.rows, "mode": name, "reason": reason} for name, reason in reasons.items()
        ]
        goals += _goals(bed.rows, readings, _overlap_limit(bed, setting, pixels))
    return {
        "engine": f"{setting.manifest.target} {setting.manifest.precision}, "
        f"{setting.manifest.builder}",
        "gpu": query_gpus("name,driver_version,memory.total") or "unknown",
        "rounds": ROUNDS,
        "modes": rows,
        "not_measured": not_measured,
        "goals": goals,
    }


def _rounds(
    bed: Bed, setting: Setting, pixels: Pixels
) -> tuple[dict[str, list[Reading]], dict[str, str]]:
    """The readings of each mode, and why a rival has none."""
    computes: dict[str, Compute] = {}
    reasons: dict[str, str] = {}
    for rival in rivals(setting.torch_file, setting.onnx_file):
        compute, reason = prepared(rival, bed.rows)
        if compute is None:
            reasons[rival.name] = reason
        else:
            computes[rival.name] = compute
    readings: dict[str, list[Reading]] = {name: [] for name in (*OURS, *computes)}
    for _ in range(ROUNDS):
        for name, reading in _engine_modes(bed, setting, pixels).items():
            readings[name].append(reading)
        readings["daemon"].append(_daemon(bed, setting, pixels))
        for name, compute in computes.items():
            readings[name].append(_rival(bed, compute))
    return readings, reasons


def _engine_modes(bed: Bed, setting: Setting, pixels: Pixels) -> dict[str, Reading]:
    """The engine alone: without copies, with one batch in flight, and with two."""
    ring = filled_ring(bed, pixels)
    frames = [slot.frames for slot in ring.slots]
    engine = TensorRtEngine(setting.folder, setting.manifest, frames, setting.resources.device)
    try:
        lanes = engine.lanes
        start = submitter(engine, bed.rows, setting.manifest)
        for slot in range(IN_FLIGHT):  # so that bare computing, too, has frames to compute
            start(slot)
            engine.wait(slot)

        def bare() -> Timing:
            with engine.device.current():
                return in_turn(
                    lambda lane: lanes[lane].compute(bed.rows, after=lanes[lane - 1]),
                    lambda lane: lanes[lane].stream.synchronize(),
                    IN_FLIGHT,
                    IN_FLIGHT,
                    bed.seconds,
                )

        def buffered(in_flight: int) -> Timing:
            return in_turn(start, engine.wait, len(frames), in_flight, bed.seconds)

        return {
            "bare": _watched(bed, bare),
            "single-buffered": _watched(bed, lambda: buffered(1)),
            "double-buffered": _watched(bed, lambda: buffered(IN_FLIGHT)),
        }
    finally:
        engine.close()


def _watched(bed: Bed, measure: Callable[[], Timing]) -> Reading:
    with watch() as load:
        timing = measure()
    return Reading(timing.per_s * bed.rows, timing.batch_ms, load.gpu_percent, load.cpu_percent)


def _daemon(bed: Bed, setting: Setting, pixels: Pixels) -> Reading:
    """The whole daemon; its batches' times are those from submission to result."""
    manifest = setting.manifest
    factory = engine_factory(setting.folder, manifest, setting.resources)
    with running(bed, model_of(manifest), factory) as pipeline, feeding(bed.frames_at, pixels):
        frames_per_s(pipeline, 0)  # until frames flow
        ledger = pipeline.deliverer.ledger
        with watch() as load:
            before, started_s = ledger.inspected, time.monotonic()
            latency_ms = worst_latency(pipeline, bed.seconds)
            rate = (ledger.inspected - before) / (time.monotonic() - started_s)
    return Reading(rate, latency_ms.get("engine", {}), load.gpu_percent, load.cpu_percent)


def _rival(bed: Bed, compute: Compute) -> Reading:
    timing = in_turn(lambda _: None, lambda _: compute(), 1, 1, bed.seconds)
    return Reading(timing.per_s * bed.rows, timing.batch_ms)


def _overlap_limit(bed: Bed, setting: Setting, pixels: Pixels) -> float:
    """How much faster two batches in flight can be than one, if only the GPU counts."""
    ring = filled_ring(bed, pixels)
    frames = [slot.frames for slot in ring.slots]
    engine = TensorRtEngine(
        setting.folder, setting.manifest, frames, setting.resources.device, timed=True
    )
    try:
        start = submitter(engine, bed.rows, setting.manifest)
        copies_ms, computes_ms = [], []
        for _ in range(SPAN_BATCHES):
            start(0)
            engine.wait(0)
            spans = {name: end - begin for name, (begin, end) in engine.spans_ms(0).items()}
            computes_ms.append(spans["compute"])
            copies_ms.append(spans["upload"] + spans["download"])
    finally:
        engine.close()
    return overlap_limit(statistics.median(copies_ms), statistics.median(computes_ms))


def overlap_limit(copy_ms: float, compute_ms: float) -> float:
    """One after the other, over the longer of the two alone."""
    longer_ms = max(copy_ms, compute_ms)
    return (copy_ms + compute_ms) / longer_ms if longer_ms else 1.0


def summary(rows: int, name: str, readings: list[Reading]) -> Figures:
    """Medians over the rounds, and the largest of the maxima."""
    row: Figures = {
        "rows": rows,
        "mode": name,
        "frames_per_s": round(statistics.median(one.frames_per_s for one in readings), 1),
    }
    for key, of_rounds in (
        ("p50", statistics.median),
        ("p99", statistics.median),
        ("max", max),
    ):
        values = [one.batch_ms[key] for one in readings if key in one.batch_ms]
        row[f"{key}_ms"] = round(of_rounds(values), 3) if values else "unknown"
    if name in OURS:
        for key in ("gpu_percent", "cpu_percent"):
            values = [value for one in readings if (value := getattr(one, key)) is not None]
            row[key] = round(statistics.median(values)) if values else "unknown"
    return row


def _goals(rows: int, readings: dict[str, list[Reading]], limit: float) -> list[Figures]:
    rates = {name: [one.frames_per_s for one in entries] for name, entries in readings.items()}

    def goal(over: str, under: str, least: float, text: str) -> Figures:
        rounds = ratios(rates[over], rates[under])
        measured = statistics.median(rounds)
        return {
            "rows": rows,
            "figure": f"{over} / {under}",
            "goal": text,
            "measured": measured,
            "met": "yes" if measured >= least else "no",
            "rounds": rounds,
        }

    goals = [
        goal("daemon", "bare", DAEMON_OVER_BARE_MIN, f">= {DAEMON_OVER_BARE_MIN}"),
        goal("double-buffered", "single-buffered", 1.001, f"> 1, limit {limit:.2f}"),
    ]
    if "PyTorch eager" in rates:
        text = f">= {DAEMON_OVER_PYTORCH_MIN:g}"
        goals.append(goal("daemon", "PyTorch eager", DAEMON_OVER_PYTORCH_MIN, text))
    return goals
