"""The GPU engine: TensorRT or TensorRT-RTX, two batches in flight on two CUDA streams.

    stream 0   upload 1 | compute 1 | sums 1 | planes 1 | upload 3 |          | compute 3 | ...
    stream 1            | upload 2  |        | compute 2           | sums 2 | planes 2 | ...

While one batch is computed, the other is copied. Batches are computed one after the other: each
has the whole GPU, and both execution contexts share one scratch memory, which TensorRT allows only
to contexts that do not run at the same time (ADR 10). The sums (area, peak) of a batch
are always copied back; its planes (mask, prob) only for frames in which something was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import (
    IN_FLIGHT,
    BatchResult,
    Engine,
    Frames,
    allocate_result,
    presence_thresholds,
)
from stripwatch.engines.cuda import Device
from stripwatch.engines.cuda_driver import clear_traceback_locals
from stripwatch.engines.manifest import Manifest
from stripwatch.engines.trt_lane import Lane, SpansMs, Thresholds
from stripwatch.engines.trt_plan import DevicePlan, batch_sizes, tensors_of
from stripwatch.engines.trt_warm import warm_up
from stripwatch.errors import DeviceError


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
            beside: a running engine that keeps running, or None; its CUDA context is shared.
            timed: record the times of each batch, for `spans_ms`.

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
                # They hold execution contexts, which must be destroyed before the plan.
                clear_traceback_locals(error)
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
            lane.download_sums(self._results[slot].rows(rows))

    def done(self, slot: int) -> bool:
        """Whether the batch is computed; `wait` may still have to copy planes back."""
        with self.device.current():
            return bool(self.lanes[self._lane_of[slot]].summed.query())

    def wait(self, slot: int) -> BatchResult:
        """Wait for the sums of a slot, and copy back the planes of frames with defects.

        Raises:
            DeviceError: a call to the GPU failed.
        """
        lane, result = self.lanes[self._lane_of[slot]], self._results[slot].rows(self._rows[slot])
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
        """Wait for running batches and release everything on the GPU.

        After a fault the calls fail; then the end of the CUDA context releases everything.
        """
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
        warm_up(self._plan, self.lanes, self._sizes)
        self._plan.save_cache()
