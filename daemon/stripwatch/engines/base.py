"""The engine protocol: two calls, so that one batch can be copied while another is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stripwatch.manifest import Gate

Frames = NDArray[np.uint8]  # [rows, lines, pixels]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What the inspection graph says of one batch.

    The arrays are views of the engine's own memory, valid until the slot is submitted again.
    `mask` and `prob` of a frame whose area is 0 in every class are undefined.
    """

    mask: NDArray[np.uint8]  # [rows, lines, pixels]; bit c-1 is set where class c is present
    area: NDArray[np.float32]  # [rows, classes]; pixels of each class
    peak: NDArray[np.float32]  # [rows, classes]; largest probability of each class
    prob: NDArray[np.uint8]  # [rows, classes, lines, pixels]; probability * 255
    absent: NDArray[np.uint8]  # [rows, classes]; 1 where a gate judges the class absent

    def first(self, rows: int) -> BatchResult:
        """The results of the first rows."""
        return BatchResult(
            mask=self.mask[:rows],
            area=self.area[:rows],
            peak=self.peak[:rows],
            prob=self.prob[:rows],
            absent=self.absent[:rows],
        )


def allocate_result(frames: Frames, classes: int) -> BatchResult:
    """Zeroed result memory for one slot's frames."""
    rows, lines, pixels = frames.shape
    return BatchResult(
        mask=np.zeros((rows, lines, pixels), np.uint8),
        area=np.zeros((rows, classes), np.float32),
        peak=np.zeros((rows, classes), np.float32),
        prob=np.zeros((rows, classes, lines, pixels), np.uint8),
        absent=np.zeros((rows, classes), np.uint8),
    )


def presence_thresholds(gate: Gate, classes: int) -> NDArray[np.float32]:
    """The graph's input of that name, float32 [1 + classes]: the gate's, then each class's.

    Below its threshold a class is judged absent, so 0 stands for a judge that the engine lacks.
    """
    return np.array(
        [gate.gate_threshold or 0.0, *(gate.class_thresholds or [0.0] * classes)], np.float32
    )


class Engine(Protocol):
    """Runs batches on the memory of the slots it was made with.

    All calls come from one thread. Between `submit` and the return of `wait` the slot's frames
    belong to the engine. `submit` and `wait` raise DeviceError when the device fails; the engine
    must then be closed and made again.
    """

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start the first `rows` frames of a slot with thresholds float32 [classes]."""

    def wait(self, slot: int) -> BatchResult:
        """Block until the slot's batch is done and return its `rows` results."""

    def close(self) -> None:
        """Free everything; slots in flight are abandoned."""


# Makes an engine on the frame memory of all slots, warmed up and ready.
EngineFactory = Callable[[Sequence[Frames]], Engine]
