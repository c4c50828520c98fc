"""The GPU engine: TensorRT or TensorRT-RTX, two batches in flight on two CUDA streams.

    stream 0   upload 1 | compute 1 | sums 1 | planes 1 | upload 3 |          | compute 3 | ...
    stream 1            | upload 2  |        | compute 2           | sums 2 | planes 2 | ...

While one batch is computed, the other is copied. Batches are computed one after the other: each
has the whole GPU, and both execution contexts share one scratch memory, which TensorRT allows only
to contexts that do not run at the same time (docs/adr/0010). The sums (area, peak) of a batch
always come down; its planes (mask, prob) only for frames in which something was found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import (
    IN_FLIGHT,
    BatchResult,
    Engine,
    Frames,
    allocate_result,
    page_aligned,
    presence_thresholds,
)
from stripwatch.engines.cuda import Device, Event, forget_frames
from stripwatch.engines.manifest import Manifest
from stripwatch.engines.trt_plan import DevicePlan, Tensors, batch_sizes, tensors_of
from stripwatch.errors import DeviceError

if TYPE_CHECKING:  # TensorRT's classes are the same
    import tensorrt_rtx as rtx

Thresholds = NDArray[np.float32]
MARKS = ("loaded", "upload", "uploaded", "compute", "computed", "download", "downloaded")
SpansMs = dict[str, tuple[float, float]]


class TensorRtEngine:
    """Runs an inspection graph built by `engine-build --target tensorrt` or `tensorrt-rtx`."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        slots: Sequence[Frames],
        ordinal: int = 0,
        beside: Engine | None = None,
        timed: bool = False,
    ) -> None:
        """Load the plan, allocate everything, warm up.

        Args:
            folder: the engine folder.
            manifest: its manifest, of a GPU target.
            slots: uint8 [rows, lines, pixels] each, page-aligned; the GPU reads them in place.
            ordinal: number of the GPU.
            beside: the engine that runs now and goes on running; its CUDA context is shared.
            timed: keep the times of each batch, for `spans_ms`.

        Raises:
            ModelError: the engine was not built for this machine, or cannot be loaded.
            DeviceError: there is no GPU, it has too little memory, or the warm-up failed.
        """
        self._slots = slots
        self._results = [allocate_result(frames, len(manifest.classes)) for frames in slots]
        self._rows = [0] * len(slots)  # of each slot's last batch
        self._lane_of = [0] * len(slots)  # that runs or ran it
        self._submitted = 0
        self._sizes = batch_sizes(manifest.batch[0] if manifest.batch else 1, len(slots[0]))
        self.lanes: list[Lane] = []
        self._plan: DevicePlan | None = None
        self._pinned: list[NDArray[Any]] = []
        self._closed = False
        self.device: Device = (
            beside.device.retain() if isinstance(beside, TensorRtEngine) else Device(ordinal)
        )
        try:
            with self.device.current():
                self._load(folder, manifest, timed)
        except BaseException as error:
            with suppress(DeviceError), self.device.current():
                forget_frames(error)  # they hold execution contexts, which must go first
            self.close()
            raise

    def submit(self, slot: int, rows: int, thresholds: Thresholds) -> None:
        """Start the first `rows` frames of a slot with thresholds float32 [classes].

        Raises:
            DeviceError: a call to the GPU failed.
        """
        before = self.lanes[(self._submitted - 1) % IN_FLIGHT]
        self._lane_of[slot] = self._submitted % IN_FLIGHT
        lane = self.lanes[self._lane_of[slot]]
        self._rows[slot] = rows
        self._submitted += 1
        padded = next(size for size in self._sizes if size >= rows)
        with self.device.current():
            lane.upload(self._slots[slot][:rows], thresholds)
            lane.compute(padded, after=before)
            lane.download_sums(self._results[slot].first(rows))

    def done(self, slot: int) -> bool:
        """Whether the batch is computed; planes may still have to come down."""
        with self.device.current():
            return bool(self.lanes[self._lane_of[slot]].summed.query())

    def wait(self, slot: int) -> BatchResult:
        """Wait for a slot's sums, and fetch the planes of frames in which something was found.

        Raises:
            DeviceError: a call to the GPU failed.
        """
        lane, result = self.lanes[self._lane_of[slot]], self._results[slot].first(self._rows[slot])
        with self.device.current():
            lane.summed.synchronize()
            found = np.flatnonzero(result.area.any(axis=1))
            lane.download_planes(result, found)
        return result

    def spans_ms(self, slot: int) -> SpansMs:
        """Begin and end of `upload`, `compute` and `download`, ms since the engine was loaded.

        For an engine made with `timed`, after the slot's `wait`.
        """
        with self.device.current():
            return self.lanes[self._lane_of[slot]].spans_ms(since=self.lanes[0])

    def close(self) -> None:
        """Wait for what is running, and free everything; a broken context takes all along."""
        if self._closed:
            return
        self._closed = True
        for lane in self.lanes:
            with suppress(DeviceError), self.device.current():
                lane.stream.synchronize()
        with suppress(DeviceError), self.device.current():
            for lane in self.lanes:
                lane.free()
            if self._plan is not None:
                self._plan.free()
            for array in self._pinned:
                self.device.unpin(array)
        self.device.release()

    def _load(self, folder: Path, manifest: Manifest, timed: bool) -> None:
        self._plan = DevicePlan(folder, manifest, self.device, self._sizes[-1])
        tensors = tensors_of(manifest, self._sizes[-1])
        presence = (
            presence_thresholds(manifest.gate, len(manifest.classes)) if manifest.gate else None
        )
        for _ in range(IN_FLIGHT):
            self.lanes.append(Lane(self.device, self._plan, tensors, presence, timed))
        for array in (
            *self._slots,
            *(getattr(result, name) for result in self._results for name in BatchResult.__slots__),
            *(lane.thresholds for lane in self.lanes),
        ):
            self.device.pin(array)
            self._pinned.append(array)
        self._choose_contexts(self._plan)
        self._plan.save_cache()

    def _choose_contexts(self, plan: DevicePlan) -> None:
        """Warm up with each kind of execution context that there is, and stay with the fastest."""
        fastest: list[rtx.IExecutionContext] = []
        fastest_s = math.inf
        for capture in plan.captures:
            contexts = [plan.context(capture) for _ in self.lanes]
            self._warm_up(contexts)  # what is compiled or captured once is so from here on
            started_s = time.monotonic()
            self._warm_up(contexts)
            taken_s = time.monotonic() - started_s
            if taken_s < fastest_s:
                fastest_s, fastest = taken_s, contexts
        self._warm_up(fastest)

    def _warm_up(self, contexts: list[rtx.IExecutionContext]) -> None:
        """Compute a batch of every size in every lane, on whatever lies in the GPU's memory."""
        for lane, context in zip(self.lanes, contexts, strict=True):
            lane.take(context)
        before = self.lanes[-1]
        for size in self._sizes:
            for lane in self.lanes:
                lane.compute(size, after=before)
                before = lane
        for lane in self.lanes:
            lane.stream.synchronize()


class Lane:
    """What one batch in flight has to itself: a stream, an execution context, GPU memory."""

    def __init__(
        self,
        device: Device,
        plan: DevicePlan,
        tensors: Tensors,
        presence: Thresholds | None,
        timed: bool,
    ) -> None:
        self._device, self._log = device, plan.log
        self._context: rtx.IExecutionContext
        self._frame_shape = tensors["frames"][1][1:]
        self._batch = 0  # that the context is set to
        self.stream = device.stream()
        self.computed: Event = device.event()
        self.summed: Event = device.event()
        self._memory = {
            name: device.allocate(np.dtype(dtype).itemsize * math.prod(shape))
            for name, (dtype, shape) in tensors.items()
        }
        self.thresholds = page_aligned(tensors["thresholds"][1], np.float32)
        self._marks: dict[str, Event] | None = None
        if timed:
            self._marks = {name: device.event(timing=True) for name in MARKS}
            self._mark("loaded")
        if presence is not None:  # these never change
            device.upload(self._memory["presence_thresholds"], presence, self.stream)
        device.upload(self._memory["thresholds"], self.thresholds, self.stream)
        self.stream.synchronize()

    def take(self, context: rtx.IExecutionContext) -> None:
        """Compute with this execution context from now on."""
        self._context, self._batch = context, 0
        for name, memory in self._memory.items():
            self._check(context.set_tensor_address(name, int(memory)))

    def upload(self, frames: Frames, thresholds: Thresholds) -> None:
        """Send a batch's frames to the GPU, and the thresholds if they have changed."""
        self._mark("upload")
        self._device.upload(self._memory["frames"], frames, self.stream)
        if (self.thresholds != thresholds).any():
            self.thresholds[:] = thresholds  # nothing reads it: this lane's last batch is done
            self._device.upload(self._memory["thresholds"], self.thresholds, self.stream)
        self._mark("uploaded")

    def compute(self, batch: int, after: Lane) -> None:
        """Compute so many frames, when the other lane is done with the scratch memory."""
        if batch != self._batch:
            self._check(self._context.set_input_shape("frames", (batch, *self._frame_shape)))
            self._batch = batch
        self.stream.wait_for_event(after.computed)
        self._mark("compute")
        self._check(self._context.execute_async_v3(self.stream.handle))
        self.computed.record(self.stream)
        self._mark("computed")

    def download_sums(self, result: BatchResult) -> None:
        """Fetch what says in which frames something was found."""
        self._mark("download")
        for name in ("area", "peak", "absent"):
            if name in self._memory:
                self._device.download(getattr(result, name), self._memory[name], self.stream)
        self.summed.record(self.stream)
        self._mark("downloaded")

    def download_planes(self, result: BatchResult, rows: NDArray[np.intp]) -> None:
        """Fetch mask and probabilities of some frames, and wait for them."""
        for row in rows.tolist():
            for name in ("mask", "prob"):
                plane = getattr(result, name)[row]
                offset = row * plane.nbytes
                self._device.download(plane, self._memory[name], self.stream, offset)
        if rows.size:
            self._mark("downloaded")
            self.stream.synchronize()

    def free(self) -> None:
        """Let go of everything on the GPU, whoever still holds the lane (a traceback does)."""
        vars(self).clear()

    def spans_ms(self, since: Lane) -> SpansMs:
        """See the engine's; `since` is the lane that was loaded first."""
        assert self._marks is not None
        assert since._marks is not None
        self.stream.synchronize()  # `wait` waits for the sums; the last mark comes after them
        origin, marks = since._marks["loaded"], self._marks
        pairs = {"upload": "uploaded", "compute": "computed", "download": "downloaded"}
        return {
            begin: (marks[begin].time_since(origin), marks[end].time_since(origin))
            for begin, end in pairs.items()
        }

    def _mark(self, name: str) -> None:
        if self._marks is not None:
            self._marks[name].record(self.stream)

    def _check(self, succeeded: bool) -> None:
        if not succeeded:
            raise DeviceError(f"TensorRT: {self._log.summary()}")
