"""The engine protocol: two calls, so that one batch can be copied while another is computed."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from stripwatch.engines.manifest import Gate

IN_FLIGHT = 2  # slots inside the engine: one is copied while the other is computed

Frames = NDArray[np.uint8]  # [rows, lines, pixels]
Scalar = TypeVar("Scalar", bound=np.generic)
Threads = Annotated[int, Meta(ge=0, le=1024)]


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Resources of the machine that an engine may use."""

    threads: Threads = 0  # CPU threads; 0 = all cores
    streams: Threads = 0  # frames computed side by side by the CPU; 0 = automatic
    device: Annotated[int, Meta(ge=0, le=255)] = 0  # number of the GPU


def page_aligned(shape: tuple[int, ...], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Zeroed memory that shares no page with other data, so that a GPU can lock its pages."""
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(1, size_bytes)), dtype, math.prod(shape)).reshape(shape)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Outputs of the inspection graph for one batch.

    The arrays are views of the engine's own memory, valid until the slot is submitted again.
    `mask` and `prob` of a frame whose area is 0 in every class are undefined.
    """

    mask: NDArray[np.uint8]  # [rows, lines, pixels]; bit c-1 is set where class c is present
    area: NDArray[np.float32]  # [rows, classes]; pixels of each class
    peak: NDArray[np.float32]  # [rows, classes]; largest probability of each class
    prob: NDArray[np.uint8]  # [rows, classes, lines, pixels]; probability * 255
    absent: NDArray[np.uint8]  # [rows, classes]; 1 where a gate finds the class absent

    def rows(self, count: int) -> BatchResult:
        """Views of the first `count` rows."""
        return BatchResult(
            mask=self.mask[:count],
            area=self.area[:count],
            peak=self.peak[:count],
            prob=self.prob[:count],
            absent=self.absent[:count],
        )


def allocate_result(frames: Frames, classes: int) -> BatchResult:
    """Zeroed result memory for one slot's frames."""
    rows, lines, pixels = frames.shape
    return BatchResult(
        mask=page_aligned((rows, lines, pixels), np.uint8),
        area=page_aligned((rows, classes), np.float32),
        peak=page_aligned((rows, classes), np.float32),
        prob=page_aligned((rows, classes, lines, pixels), np.uint8),
        absent=page_aligned((rows, classes), np.uint8),
    )


def presence_thresholds(gate: Gate, classes: int) -> NDArray[np.float32]:
    """Input `presence_thresholds` of the graph, float32 [1 + classes]: of the gate, then by class.

    Below its threshold a class is judged absent, so 0 stands for a gate or
    classifier that the engine lacks.
    """
    return np.array(
        [gate.gate_threshold or 0.0, *(gate.class_thresholds or [0.0] * classes)], np.float32
    )


class Engine(Protocol):
    """Runs batches on the memory of the slots it was made with.

    All calls come from one thread at a time. At most `IN_FLIGHT` slots are submitted and not yet
    waited for, and they are waited for in the order of their submission. Between `submit` and the
    return of `wait` a slot's frames belong to the engine. `submit`, `done` and `wait` raise
    DeviceError when the device fails; the engine must then be closed and replaced.
    """

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start the first `rows` frames of a slot with thresholds float32 [classes]."""

    def done(self, slot: int) -> bool:
        """Whether `wait` would return at once, or nearly at once."""

    def wait(self, slot: int) -> BatchResult:
        """Block until the slot's batch is done and return its `rows` results."""

    def close(self) -> None:
        """Free everything; slots in flight are abandoned."""


class EngineFactory(Protocol):
    """Makes an engine on the frame memory of all slots, warmed up and ready.

    `beside` is an engine that is still running and that the new one will replace, or None.
    """

    def __call__(self, slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        """Make the engine."""
