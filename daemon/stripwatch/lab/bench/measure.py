"""The measurements."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
import zmq

from stripwatch.config import Camera, Geometry
from stripwatch.engines.base import IN_FLIGHT, Engine, EngineFactory, Resources
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import FakeBehaviour, Manifest
from stripwatch.inspect.defects import find_defects
from stripwatch.inspect.events import defect_event
from stripwatch.inspect.model import Model, model_of
from stripwatch.lab.bench.feed import feeding, make_frames
from stripwatch.lab.bench.line import Bed, frames_per_s, running, worst_latency
from stripwatch.net.sockets import open_socket
from stripwatch.stages.slots import SlotRing
from stripwatch.synthetic import CLASSES, SyntheticFrame
from stripwatch.wire.event import build_event, with_number
from stripwatch.wire.frame import FrameHeader, payload_bytes_max

Figures = dict[str, object]

IDLE = fake_factory(FakeBehaviour(read_pixels=False))  # an engine that costs nothing

SEED = 11
ROUNDS = 5  # of A and B in turn; ratios are medians over the rounds
DENSE = 6.0  # defects per 1000 lines; its defective frames have as many as Severstal's, about 3
MEMORY_WARM_FRAMES = 5000  # before the first reading: allocators settle


def end_to_end(bed: Bed, folder: Path, manifest: Manifest, resources: Resources) -> Figures:
    """The whole daemon over the bare engine, with the same model, batch and threads."""
    factory = engine_factory(folder, manifest, resources)
    pixels = [frame.pixels for frame in make_frames(SEED, bed.frame_shape)]
    daemon_of = (bed, model_of(manifest), factory)
    bare, daemon = [], []
    for _ in range(ROUNDS):
        bare.append(_bare_engine(bed, factory, manifest, pixels))
        with running(*daemon_of) as pipeline, feeding(bed.frames_at, pixels):
            daemon.append(frames_per_s(pipeline, bed.seconds))
    half = statistics.median(daemon) / 2
    with running(*daemon_of) as pipeline, feeding(bed.frames_at, pixels, half):
        frames_per_s(pipeline, 0)  # until frames flow
        latency_ms = worst_latency(pipeline, max(3.0, bed.seconds))
    return {
        **_ratio("engine_frames_per_s", bare, "daemon_frames_per_s", daemon),
        "goal": 0.95,
        "half_load_frames_per_s": round(half, 1),
        "latency_at_half_load_ms": latency_ms,
    }


def transport(bed: Bed) -> Figures:
    """The pipeline with an engine that costs nothing, over receiving the same frames bare."""
    pixels = [frame.pixels for frame in make_frames(SEED, bed.frame_shape)]
    bare, pipeline_rates = [], []
    for _ in range(ROUNDS):
        bare.append(_bare_receive(bed, pixels))
        with (
            running(bed, Model("fake", CLASSES), IDLE) as pipeline,
            feeding(bed.frames_at, pixels),
        ):
            pipeline_rates.append(frames_per_s(pipeline, bed.seconds))
    return {
        **_ratio("zeromq_frames_per_s", bare, "pipeline_frames_per_s", pipeline_rates),
        "goal": 0.6,
    }


def inspection(bed: Bed) -> Figures:
    """Masks to encoded events on one core, on frames that are all defective."""
    cv2.setNumThreads(1)
    frames = [frame for frame in make_frames(SEED, bed.frame_shape, DENSE) if frame.mask.any()]
    results = [_as_result(frame) for frame in frames]
    defects = sum(_inspect(bed, *result) for result in results)

    def naive() -> None:
        for frame in frames:
            for entry in CLASSES:
                plane = frame.mask >> (entry.id - 1) & 1
                cv2.connectedComponentsWithStats(plane, connectivity=8)

    def ours() -> None:
        for result in results:
            _inspect(bed, *result)

    return {
        "frames_per_s_per_core": round(len(frames) * _per_s(ours, bed.seconds), 1),
        "goal": 500,
        "labelling_four_planes_alone_frames_per_s": round(
            len(frames) * _per_s(naive, min(bed.seconds, 2)), 1
        ),
        "defects_per_frame": round(defects / len(frames), 2),
    }


def memory(bed: Bed, frame_count: int) -> Figures:
    """Resident memory over many frames through the pipeline with the fake engine."""
    pixels = [frame.pixels for frame in make_frames(SEED, bed.frame_shape)]
    process = psutil.Process()
    warm = min(MEMORY_WARM_FRAMES, frame_count // 4)
    with (
        running(bed, Model("fake", CLASSES), IDLE) as pipeline,
        feeding(bed.frames_at, pixels),
    ):
        ledger = pipeline.deliverer.ledger

        def resident_mb_at(frames: int) -> float:
            while ledger.inspected < frames and pipeline.failure is None:
                time.sleep(0.01)
            return float(process.memory_info().rss) / 1e6

        readings = [resident_mb_at(warm + step * (frame_count - warm) // 8) for step in range(9)]
        frames = ledger.inspected
    return {
        "frames": frames,
        "resident_mb_after_warm_up": round(readings[0], 1),
        "resident_mb_at_end": round(readings[-1], 1),
        "resident_mb_max": round(max(readings), 1),
        "growth_mb": round(readings[-1] - readings[0], 1),
    }


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast batches were done, and how long each took."""

    per_s: float
    batch_ms: dict[str, float]  # p50, p99, max; from its start to its end


def in_turn(
    start: Callable[[int], object],
    finish: Callable[[int], object],
    places: int,
    in_flight_max: int,
    seconds: float,
) -> Timing:
    """Do batches in places 0, 1, ... in turn, so many of them at the same time."""
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
    return Timing(len(taken_ms) / taken_s, spread(taken_ms))


def spread(values: list[float]) -> dict[str, float]:
    """Of some values the p50, p99 and max."""
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": max(values)}


def filled_ring(bed: Bed, pixels: list[np.ndarray]) -> SlotRing:
    """The daemon's slots, full of frames."""
    ring = SlotRing(bed.rows, bed.frame_shape)
    for index, slot in enumerate(ring.slots):
        for row in range(bed.rows):
            slot.frames[row] = pixels[(index * bed.rows + row) % len(pixels)]
    return ring


def submitter(engine: Engine, rows: int, manifest: Manifest) -> Callable[[int], None]:
    """Starts a slot's batch with the manifest's thresholds."""
    thresholds = model_of(manifest).thresholds
    return lambda slot: engine.submit(slot, rows, thresholds)


def ratios(values: list[float], base: list[float]) -> list[float]:
    """Round by round."""
    return [round(value / other, 3) for value, other in zip(values, base, strict=True)]


def _bare_engine(
    bed: Bed, factory: EngineFactory, manifest: Manifest, pixels: list[np.ndarray]
) -> float:
    """Frames per second of the engine alone, two slots in flight, as the daemon drives it."""
    ring = filled_ring(bed, pixels)
    engine = factory([slot.frames for slot in ring.slots])
    try:
        start, slots = submitter(engine, bed.rows, manifest), len(ring.slots)
        return in_turn(start, engine.wait, slots, IN_FLIGHT, bed.seconds).per_s * bed.rows
    finally:
        engine.close()


def _bare_receive(bed: Bed, pixels: list[np.ndarray]) -> float:
    """Frames per second that one thread takes from a PULL socket into one buffer."""
    context = zmq.Context()
    socket = open_socket(
        context,
        "pull",
        bed.frames_at,
        attach="bind",
        queue=32,
        message_bytes_max=payload_bytes_max(bed.frame_shape),
    )
    buffer = bytearray(bed.frame_shape[0] * bed.frame_shape[1])

    def receive(seconds: float) -> float:
        frames, started_s = 0, time.monotonic()
        while time.monotonic() - started_s < seconds:
            socket.recv()
            socket.recv()
            socket.recv_into(buffer)
            frames += 1
        return frames / (time.monotonic() - started_s)

    with feeding(bed.frames_at, pixels):
        receive(1.0)
        rate = receive(bed.seconds)
    socket.close()
    context.term()
    return rate


def _as_result(frame: SyntheticFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a perfect engine would say of a frame: mask, prob, area."""
    planes = np.stack([frame.mask >> (entry.id - 1) & 1 for entry in CLASSES])
    return frame.mask, planes * np.uint8(230), planes.sum(axis=(1, 2), dtype=np.float32)


def _inspect(bed: Bed, mask: np.ndarray, prob: np.ndarray, area: np.ndarray) -> int:
    header = FrameHeader(
        v=1,
        camera="bench",
        session="bench",
        seq=0,
        t_ns=0,
        shape=bed.frame_shape,
        dtype="u8",
        codec="raw",
    )
    lines, pixels = bed.frame_shape
    line = Geometry(frame_lines=lines, frame_pixels=pixels, mm_per_line=0.5, mm_per_pixel=0.625)
    findings = find_defects(mask, prob, area, CLASSES, 100)
    for finding in findings:
        event = defect_event(finding, header, Camera(name="bench"), line, "part", "model")
        build_event(with_number(event, "stream", 1))
    return len(findings)


def _per_s(work: Callable[[], None], seconds: float) -> float:
    work()
    runs, started_s = 0, time.monotonic()
    while time.monotonic() - started_s < seconds:
        work()
        runs += 1
    return runs / (time.monotonic() - started_s)


def _ratio(base_name: str, base: list[float], name: str, values: list[float]) -> Figures:
    rounds = ratios(values, base)
    return {
        base_name: round(statistics.median(base), 1),
        name: round(statistics.median(values), 1),
        "ratio": round(statistics.median(rounds), 3),
        "ratios": rounds,
    }
