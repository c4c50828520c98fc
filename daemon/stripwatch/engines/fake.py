"""The fake engine: finds what is painted in the frames, with delays and faults on demand.

It needs no model and no device and drives the real pipeline, in tests and in `stripwatch bench`.
A pixel of grey level 251 + c (252 for class 1, 255 for class 4) belongs to class c with
probability 0.8; every other probability is 0.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Frames, allocate_result
from stripwatch.errors import DeviceError
from stripwatch.manifest import FakeBehaviour

PAINT = 251  # grey level of class c is PAINT + c
PROBABILITY = 0.8  # 204 / 255
CLASSES = 4


class FakeEngine:
    """See the module; deterministic."""

    def __init__(self, slots: Sequence[Frames], behaviour: FakeBehaviour) -> None:
        self._slots = slots
        self._behaviour = behaviour
        self._due_s = [0.0] * len(slots)
        self._rows = [0] * len(slots)
        self._thresholds = np.zeros(CLASSES, np.float32)
        self._batches = 0
        self._closed = threading.Event()
        # Overlapping delays would let two slots share one device; they queue up instead.
        self._free_s = 0.0
        self._results = [allocate_result(frames, CLASSES) for frames in slots]

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start a batch; it is due after `delay_ms`, or after the batch before it."""
        self._batches += 1
        self._rows[slot] = rows
        self._thresholds = thresholds.copy()
        self._free_s = max(self._free_s, time.monotonic()) + self._behaviour.delay_ms / 1000
        self._due_s[slot] = self._free_s

    def wait(self, slot: int) -> BatchResult:
        """Finish a batch.

        Raises:
            DeviceError: on every `fail_every`-th batch.
        """
        behaviour = self._behaviour
        if behaviour.hang_after and self._batches >= behaviour.hang_after:
            self._closed.wait()
        if behaviour.fail_every and self._batches % behaviour.fail_every == 0:
            raise DeviceError(f"fake fault in batch {self._batches}")
        if behaviour.delay_ms:
            time.sleep(max(0, self._due_s[slot] - time.monotonic()))
        rows, result = self._rows[slot], self._results[slot]
        if behaviour.read_pixels:
            for row in range(rows):
                self._read(self._slots[slot][row], result, row)
        return result.first(rows)

    def close(self) -> None:
        """Wake a hanging `wait`."""
        self._closed.set()

    def _read(self, frame: NDArray[np.uint8], result: BatchResult, row: int) -> None:
        result.mask[row] = 0
        for index in range(CLASSES):
            painted = frame == PAINT + index + 1
            count = np.count_nonzero(painted) if self._thresholds[index] <= PROBABILITY else 0
            result.area[row, index] = count
            result.peak[row, index] = PROBABILITY if painted.any() else 0
            result.prob[row, index] = painted * np.uint8(round(PROBABILITY * 255))
            if count:
                result.mask[row] |= painted.astype(np.uint8) << index
