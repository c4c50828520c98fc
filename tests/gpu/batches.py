"""Batches for the GPU engine, and what their results must be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import IN_FLIGHT, BatchResult, page_aligned
from stripwatch.engines.manifest import load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.stages.slots import slot_count

SHAPE = (32, 80)
HALF = np.full(2, 0.5, np.float32)
STRICT = np.full(2, 0.7, np.float32)


def make_slots(rows: int, count: int = slot_count()) -> list[NDArray[np.uint8]]:
    return [page_aligned((rows, *SHAPE), np.uint8) for _ in range(count)]


@contextmanager
def running(
    folder: Path, slots: list[NDArray[np.uint8]], timed: bool = False
) -> Iterator[TensorRtEngine]:
    engine = TensorRtEngine(folder, load_manifest(folder), slots, timed=timed)
    try:
        yield engine
    finally:
        engine.close()


def some_frames(seed: int, count: int) -> NDArray[np.uint8]:
    """Noise of different brightness: bright frames have defects of both classes, dark ones none."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (count, *SHAPE))
    light = generator.choice([0.0, 0.2, 1.0], (count, 1, 1))
    return np.asarray(noise * light, np.uint8)


def single_results(
    folder: Path, frames: NDArray[np.uint8], thresholds: NDArray[np.float32]
) -> list[bytes]:
    """The result of each frame when it is alone in its batch."""
    slots = make_slots(1, 1)
    found = []
    with running(folder, slots) as engine:
        for frame in frames:
            slots[0][0] = frame
            engine.submit(0, 1, thresholds)
            found.append(seen(engine.wait(0), 0))
    return found


def seen(result: BatchResult, row: int) -> bytes:
    """The defined parts of a frame's result."""
    sums = (result.area[row], result.peak[row], result.absent[row])
    planes = (result.mask[row], result.prob[row]) if result.area[row].any() else ()
    return b"".join(array.tobytes() for array in (*sums, *planes))


def run_randomly(
    engine: TensorRtEngine,
    slots: list[NDArray[np.uint8]],
    frames: NDArray[np.uint8],
    wanted: Mapping[bytes, list[bytes]],
    batches: int,
    seed: int,
) -> int:
    """Batches of random size, frames and thresholds, two in flight; how many frames were right."""
    generator = np.random.default_rng(seed)
    in_flight: deque[tuple[int, NDArray[np.intp], bytes]] = deque()
    right = 0
    for batch in range(batches + IN_FLIGHT):
        if len(in_flight) == IN_FLIGHT or batch >= batches:
            slot, chosen, limits = in_flight.popleft()
            result = engine.wait(slot)
            for row, index in enumerate(chosen.tolist()):
                assert seen(result, row) == wanted[limits][index], (seed, batch, row)
                right += 1
        if batch < batches:
            slot = batch % len(slots)
            chosen = generator.integers(0, len(frames), generator.integers(1, len(slots[0]) + 1))
            limits = generator.choice(list(wanted))
            slots[slot][: len(chosen)] = frames[chosen]
            thresholds = np.frombuffer(limits, np.float32)
            engine.submit(slot, len(chosen), thresholds)
            in_flight.append((slot, chosen, limits))
    return right
