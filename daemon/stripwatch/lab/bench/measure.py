"""The parts of the bench that need no GPU: ratios A over B, and memory."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import zmq

from stripwatch.config.sections import Camera, Geometry
from stripwatch.engines.base import IN_FLIGHT, EngineFactory, Resources
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import FakeBehaviour, Manifest
from stripwatch.inspect.events import defect_event
from stripwatch.inspect.findings import Segmentation
from stripwatch.inspect.masked import MaskedFinder
from stripwatch.inspect.model import Model, model_of
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.inspect.strip.whole import Joined
from stripwatch.lab.bench.batches import filled_ring, run_batches, submitter
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures, ratio_figures
from stripwatch.lab.bench.harness import BenchSetup, frames_per_s, running_pipeline, worst_latency
from stripwatch.lab.bench.load_monitor import resident_bytes
from stripwatch.net.sockets import open_socket
from stripwatch.synthetic import CLASSES, SyntheticFrame
from stripwatch.wire.event import build_event, with_number
from stripwatch.wire.frame import FrameHeader, payload_bytes_max

IDLE = fake_factory(FakeBehaviour(read_pixels=False))  # an engine that costs nothing

PART = Joined("part", is_whole=True)
ROUNDS = 5  # of A and B in turn; ratios are medians over the rounds
DEFECTS_MAX = 100  # of each class in a frame
DENSE = 6.0  # defects per 1000 lines; its defective frames have as many as Severstal's, about 3
MEMORY_WARM_FRAMES = 5000  # before the first reading: allocators settle


def end_to_end(
    setup: BenchSetup, folder: Path, manifest: Manifest, resources: Resources
) -> Figures:
    """The whole daemon over the bare engine, with the same model, batch and threads."""
    factory = engine_factory(folder, manifest, resources)
    pixels = [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]
    arguments = (setup, model_of(manifest), factory)
    bare, daemon = [], []
    for _ in range(ROUNDS):
        bare.append(_bare_engine(setup, factory, manifest, pixels))
        with running_pipeline(*arguments) as pipeline, feed_process(setup.frames_at, pixels):
            daemon.append(frames_per_s(pipeline, setup.seconds))
    half = statistics.median(daemon) / 2
    with running_pipeline(*arguments) as pipeline, feed_process(setup.frames_at, pixels, half):
        frames_per_s(pipeline, 0)  # until frames flow
        latency_ms = worst_latency(pipeline, max(3.0, setup.seconds))
    return {
        **ratio_figures("engine_frames_per_s", bare, "daemon_frames_per_s", daemon),
        "goal": 0.95,
        "half_load_frames_per_s": round(half, 1),
        "latency_at_half_load_ms": latency_ms,
    }


def transport(setup: BenchSetup) -> Figures:
    """The pipeline with an engine that costs nothing, over receiving the same frames bare."""
    pixels = [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]
    bare, pipeline_rates = [], []
    for _ in range(ROUNDS):
        bare.append(bare_receive(setup, pixels))
        with (
            running_pipeline(setup, Model("fake", CLASSES), IDLE) as pipeline,
            feed_process(setup.frames_at, pixels),
        ):
            pipeline_rates.append(frames_per_s(pipeline, setup.seconds))
    return {
        **ratio_figures("zeromq_frames_per_s", bare, "pipeline_frames_per_s", pipeline_rates),
        "goal": 0.6,
    }


def inspection(setup: BenchSetup) -> Figures:
    """Masks to encoded events on one core, on frames that are all defective."""
    cv2.setNumThreads(1)
    frames = [frame for frame in make_frames(SEED, setup.frame_shape, DENSE) if frame.mask.any()]
    results = [as_segmentation(frame) for frame in frames]
    slots = [results[first : first + setup.rows] for first in range(0, len(results), setup.rows)]
    finder = MaskedFinder()
    defects = sum(_inspect(setup, finder, slot) for slot in slots)

    def label_only() -> None:
        for frame in frames:
            for entry in CLASSES:
                plane = ((frame.mask & entry.bit) != 0).view(np.uint8)
                cv2.connectedComponentsWithStats(plane, connectivity=8)

    def inspect_all() -> None:
        for slot in slots:
            _inspect(setup, finder, slot)

    return {
        "frames_per_s_per_core": round(len(frames) * _per_s(inspect_all, setup.seconds), 1),
        "goal": 500,
        "labelling_four_planes_alone_frames_per_s": round(
            len(frames) * _per_s(label_only, min(setup.seconds, 2)), 1
        ),
        "defects_per_frame": round(defects / len(frames), 2),
    }


def memory(setup: BenchSetup, frame_count: int) -> Figures:
    """Resident memory over many frames through the pipeline with the fake engine."""
    pixels = [frame.pixels for frame in make_frames(SEED, setup.frame_shape)]
    warm = min(MEMORY_WARM_FRAMES, frame_count // 4)
    with (
        running_pipeline(setup, Model("fake", CLASSES), IDLE) as pipeline,
        feed_process(setup.frames_at, pixels),
    ):
        ledger = pipeline.outbox.ledger

        def resident_mb_at(frames: int) -> float:
            while ledger.inspected < frames and pipeline.failure is None:
                time.sleep(0.01)
            return resident_bytes(os.getpid()) / 1e6

        readings = [resident_mb_at(warm + step * (frame_count - warm) // 8) for step in range(9)]
        frames = ledger.inspected
    return {
        "frames": frames,
        "resident_mb_after_warm_up": round(readings[0], 1),
        "resident_mb_at_end": round(readings[-1], 1),
        "resident_mb_max": round(max(readings), 1),
        "growth_mb": round(readings[-1] - readings[0], 1),
    }


def _bare_engine(
    setup: BenchSetup, factory: EngineFactory, manifest: Manifest, pixels: list[np.ndarray]
) -> float:
    """Frames per second of the engine alone, two slots in flight, as the daemon drives it."""
    ring = filled_ring(setup, pixels)
    engine = factory([slot.frames for slot in ring.slots])
    try:
        start, slots = submitter(engine, setup.rows, manifest), len(ring.slots)
        return run_batches(start, engine.wait, slots, IN_FLIGHT, setup.seconds).per_s * setup.rows
    finally:
        engine.close()


def bare_receive(setup: BenchSetup, pixels: list[np.ndarray]) -> float:
    """Frames per second that one thread takes from a PULL socket into one buffer."""
    context = zmq.Context()
    socket = open_socket(
        context,
        "pull",
        setup.frames_at,
        attach="bind",
        queue=32,
        message_bytes_max=payload_bytes_max(setup.frame_shape),
    )
    buffer = bytearray(setup.frame_shape[0] * setup.frame_shape[1])

    def receive(seconds: float) -> float:
        frames, started_s = 0, time.monotonic()
        while time.monotonic() - started_s < seconds:
            socket.recv()
            socket.recv()
            socket.recv_into(buffer)
            frames += 1
        return frames / (time.monotonic() - started_s)

    with feed_process(setup.frames_at, pixels):
        receive(1.0)
        rate = receive(setup.seconds)
    socket.close()
    context.term()
    return rate


def as_segmentation(frame: SyntheticFrame) -> Segmentation:
    """What a perfect engine finds in a frame."""
    planes = np.stack([(frame.mask & entry.bit) != 0 for entry in CLASSES]).view(np.uint8)
    area = planes.sum(axis=(1, 2), dtype=np.float32)
    return Segmentation(frame.mask, planes * np.uint8(230), area, CLASSES)


def _inspect(setup: BenchSetup, finder: MaskedFinder, frames: list[Segmentation]) -> int:
    header = FrameHeader(
        v=1,
        camera="bench",
        session="bench",
        seq=0,
        t_ns=0,
        shape=setup.frame_shape,
        dtype="u8",
        codec="raw",
    )
    lines, pixels = setup.frame_shape
    geometry = Geometry(frame_lines=lines, frame_pixels=pixels, mm_per_line=0.5, mm_per_pixel=0.625)
    place = CameraPlace(Camera(name="bench"), geometry)
    found = list(chain(*finder.find(frames, DEFECTS_MAX)))
    for finding, mask in found:
        event = defect_event(finding, mask, header, place, (None, None), PART, "model")
        build_event(with_number(event, "stream", 1))
    return len(found)


def _per_s(work: Callable[[], None], seconds: float) -> float:
    """Runs per second of this thread's processor time, which others' work hardly changes."""
    work()
    runs, started_s = 0, time.thread_time()
    while time.thread_time() - started_s < seconds:
        work()
        runs += 1
    return runs / (time.thread_time() - started_s)
