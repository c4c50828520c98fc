"""The fake engine: finds painted defects in the frames, with delays and faults on demand.

It needs no model and no device and drives the real pipeline, in tests and in `stripwatch bench`.
A pixel of grey level 251 + c (252 for class 1, 255 for class 4) belongs to class c with
probability 0.8; every other probability is 0. So classes above 4 are never found. Classes that it
reports absent are found all the same, as with a gate in mode `soft`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Engine, EngineFactory, Frames, allocate_result
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import DeviceError

PAINT = 251  # grey level of class c is PAINT + c
PROBABILITY = 0.8  # 204 / 255
CLASSES = 4
QUICK = FakeBehaviour()  # no delays, no faults


class FakeEngine:
    """Deterministic engine on the CPU; the module describes it."""

    def __init__(
        self,
        slots: Sequence[Frames],
        behaviour: FakeBehaviour,
        classes: int = CLASSES,
        fault: Callable[[int], None] | None = None,
    ) -> None:
        """Make an engine on the slots' memory.

        Args:
            slots: uint8 [rows, lines, pixels] each; read in place.
            behaviour: delays and faults.
            classes: number of classes of a result.
            fault: called by `wait` with the number of the batch, from 1 in the order of
                submission; `wait` raises the error that it raises.
        """
        self._slots = slots
        self._behaviour = behaviour
        self._fault = fault
        self._results = [allocate_result(frames, classes) for frames in slots]
        absent = [number - 1 for number in behaviour.absent if number <= classes]
        for result in self._results:
            result.absent[:, absent] = 1
        self._thresholds = [np.zeros(classes, np.float32) for _ in slots]
        # Of the batch in each slot: its number of rows, its own number, and when it is due.
        self._rows = [0] * len(slots)
        self._batch = [0] * len(slots)
        self._due_s = [0.0] * len(slots)
        self._batches = 0
        self._free_s = 0.0  # when the device will have finished all batches
        self._closed = threading.Event()

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start a batch; it is due `delay_ms` after now, or after the batch before it."""
        self._batches += 1
        self._batch[slot] = self._batches
        self._rows[slot] = rows
        self._thresholds[slot][:] = thresholds
        self._free_s = max(self._free_s, time.monotonic()) + self._behaviour.delay_ms / 1000
        self._due_s[slot] = self._free_s

    def done(self, slot: int) -> bool:
        """Whether a batch is due; a hanging batch never is."""
        hanging = 0 < self._behaviour.hang_after <= self._batch[slot]
        due = not hanging and time.monotonic() >= self._due_s[slot]
        return due or self._closed.is_set()

    def wait(self, slot: int) -> BatchResult:
        """Finish a batch.

        Raises:
            DeviceError: on every `fail_every`-th batch; when `fault` raises it; and when `close`
                ended a hanging batch.
        """
        behaviour, batch = self._behaviour, self._batch[slot]
        if behaviour.hang_after and batch >= behaviour.hang_after:
            self._closed.wait()
            raise DeviceError(f"batch {batch} was hanging when the fake engine was closed")
        if behaviour.fail_every and batch % behaviour.fail_every == 0:
            raise DeviceError(f"fake fault in batch {batch}")
        if self._fault is not None:
            self._fault(batch)
        if behaviour.delay_ms:
            self._closed.wait(max(0, self._due_s[slot] - time.monotonic()))
        rows, result = self._rows[slot], self._results[slot]
        if behaviour.read_pixels:
            for row in range(rows):
                self._read(slot, row)
        return result.rows(rows)

    def close(self) -> None:
        """End a hanging or slow `wait`; the only call that another thread may make."""
        self._closed.set()

    def _read(self, slot: int, row: int) -> None:
        """Find the painted defects of one frame."""
        frame, result = self._slots[slot][row], self._results[slot]
        result.mask[row] = 0
        for index, threshold in enumerate(self._thresholds[slot][:CLASSES]):
            painted = frame == PAINT + index + 1
            count = np.count_nonzero(painted)
            result.peak[row, index] = PROBABILITY if count else 0
            np.multiply(painted, np.uint8(round(PROBABILITY * 255)), out=result.prob[row, index])
            present = count > 0 and threshold <= np.float32(PROBABILITY)
            result.area[row, index] = count if present else 0
            if present:
                result.mask[row] |= painted.astype(np.uint8) << index


def fake_factory(
    behaviour: FakeBehaviour = QUICK,
    classes: int = CLASSES,
    fault: Callable[[int], None] | None = None,
) -> EngineFactory:
    """A factory for fake engines of the same behaviour; see `FakeEngine`."""

    def make(slots: Sequence[Frames], beside: Engine | None = None) -> FakeEngine:  # noqa: ARG001
        return FakeEngine(slots, behaviour, classes, fault)

    return make
