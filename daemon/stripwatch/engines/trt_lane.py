"""A lane of the GPU engine: a stream, GPU memory for one batch in flight, and how to compute it.

The two lanes compute in turn on one scratch memory (ADR 10). For each size of batch a lane has an
execution context, whose shape and addresses are set once, and perhaps a CUDA graph (ADR 23).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Frames, page_aligned
from stripwatch.engines.cuda import Device, Event, Memory, Stream
from stripwatch.engines.cuda_graph import Graph
from stripwatch.engines.trt_plan import DevicePlan, Tensors
from stripwatch.errors import DeviceError

if TYPE_CHECKING:  # TensorRT's classes are the same
    import tensorrt_rtx as rtx

Thresholds = NDArray[np.float32]
MARKS = ("loaded", "upload", "uploaded", "compute", "computed", "download", "downloaded")
SpansMs = dict[str, tuple[float, float]]


@dataclass
class Computation:
    """One way to compute batches of one size."""

    context: rtx.IExecutionContext
    graph: Graph | None = None  # of the context's kernels, captured by us


@dataclass
class GpuObjects:
    """Everything of a lane that its destructor releases on the GPU, released in this order.

    The destructors call the driver: they must run while the CUDA context exists and is current and
    before the plan is freed, and not when the last reference to the lane goes, which the traceback
    of an error may hold.
    """

    computations: dict[tuple[int, bool], Computation]  # by size, and whether from a CUDA graph
    stream: Stream
    computed: Event  # the last batch is computed
    summed: Event  # its sums are in the result's memory
    memory: dict[str, Memory]  # by name of the tensor
    marks: dict[str, Event]  # with timing; empty where nothing is timed


class Lane:
    """GPU objects of one batch in flight."""

    def __init__(
        self,
        device: Device,
        plan: DevicePlan,
        tensors: Tensors,
        presence: Thresholds | None,
        timed: bool,
    ) -> None:
        """Allocate the memory of the tensors and upload the thresholds.

        Args:
            device: the GPU; its context is current.
            plan: the loaded plan.
            tensors: dtype and shape of the graph's inputs and outputs, for the largest batch.
            presence: thresholds of the gate, float32 [1 + classes]; None without a gate.
            timed: record when each step begins and ends, for `spans_ms`.

        Raises:
            DeviceError: the GPU has too little memory, or a call to it failed.
        """
        self._device, self._log = device, plan.log
        self._frame_shape = tensors["frames"][1][1:]
        self._graphs: dict[int, bool] = {}  # by size: whether batches run from a CUDA graph
        self.thresholds = page_aligned(tensors["thresholds"][1], np.float32)
        # The lane holds the only reference to this object, so that `free` runs the destructors; no
        # local variable may keep another.
        self._gpu: GpuObjects | None = GpuObjects(
            computations={},
            stream=device.stream(),
            computed=device.event(),
            summed=device.event(),
            memory={
                name: device.allocate(np.dtype(dtype).itemsize * math.prod(shape))
                for name, (dtype, shape) in tensors.items()
            },
            marks={name: device.event(timing=True) for name in MARKS} if timed else {},
        )
        self._mark("loaded")
        if presence is not None:  # these never change
            device.upload(self._objects.memory["presence_thresholds"], presence, self.stream)
        device.upload(self._objects.memory["thresholds"], self.thresholds, self.stream)
        self.stream.synchronize()

    @property
    def stream(self) -> Stream:
        """The stream in which everything of this lane is queued."""
        return self._objects.stream

    @property
    def computed(self) -> Event:
        """The event after which the scratch memory is free for the other lane."""
        return self._objects.computed

    @property
    def summed(self) -> Event:
        """The event after which the sums of the last batch can be read."""
        return self._objects.summed

    @property
    def _objects(self) -> GpuObjects:
        assert self._gpu is not None, "the lane is freed"
        return self._gpu

    def add(self, size: int, graph: bool, context: rtx.IExecutionContext) -> None:
        """Compute batches of a size with this context, and choose it.

        Its shape and its addresses stay as they are set here.

        Args:
            size: frames of a batch.
            graph: the library runs the context from a CUDA graph.
            context: on the scratch memory.

        Raises:
            DeviceError: TensorRT takes no such batch.
        """
        self._objects.computations[size, graph] = Computation(context)
        for name, memory in self._objects.memory.items():
            self._check(context.set_tensor_address(name, int(memory)))
        self._check(context.set_input_shape("frames", (size, *self._frame_shape)))
        self._graphs[size] = graph

    def capture(self, size: int) -> None:
        """Capture the kernels of the plain context as a CUDA graph, and choose that.

        The context must have computed a batch before: its first one does what no graph may hold.

        Raises:
            DeviceError: they cannot be captured; the lane works as before.
        """
        context = self._objects.computations[size, False].context
        graph = self._device.capture(
            self.stream, lambda: context.execute_async_v3(self.stream.handle)
        )
        self._objects.computations[size, True] = Computation(context, graph)
        self._graphs[size] = True

    def choose(self, size: int, graph: bool) -> None:
        """Compute batches of a size from a CUDA graph, or without, from now on."""
        assert (size, graph) in self._objects.computations
        self._graphs[size] = graph

    def drop_others(self, size: int) -> None:
        """Release what is not chosen for a size; nothing of it may be running."""
        other = self._objects.computations.pop((size, not self._graphs[size]), None)
        if other is not None and other.graph is not None:
            other.graph.free()

    def upload(self, frames: Frames, thresholds: Thresholds) -> None:
        """Copy a batch's frames to the GPU, and the thresholds if they have changed."""
        self._mark("upload")
        self._device.upload(self._objects.memory["frames"], frames, self.stream)
        if (self.thresholds != thresholds).any():
            self.thresholds[:] = thresholds  # nothing reads it: this lane's last batch is done
            self._device.upload(self._objects.memory["thresholds"], self.thresholds, self.stream)
        self._mark("uploaded")

    def compute(self, size: int, after: Lane) -> None:
        """Compute so many frames, when the other lane no longer uses the scratch memory."""
        key = size, self._graphs[size]
        graph = self._objects.computations[key].graph
        self.stream.wait_for_event(after.computed)
        self._mark("compute")
        if graph is None:  # no local variable for the context: an error would keep it alive
            handle = self.stream.handle
            self._check(self._objects.computations[key].context.execute_async_v3(handle))
        else:
            graph.launch(self.stream)
        self._mark("computed")  # before the other lane may begin
        self.computed.record(self.stream)

    def download_sums(self, result: BatchResult) -> None:
        """Copy back the sums, which show in which frames something was found."""
        self._mark("download")
        for name in ("area", "peak", "absent"):
            if name in self._objects.memory:
                memory = self._objects.memory[name]
                self._device.download(getattr(result, name), memory, self.stream)
        self.summed.record(self.stream)
        self._mark("downloaded")

    def download_planes(self, result: BatchResult, rows: NDArray[np.intp]) -> None:
        """Copy back mask and probabilities of some frames, and wait for them."""
        for row in rows.tolist():
            for name in ("mask", "prob"):
                plane = getattr(result, name)[row]
                offset = row * plane.nbytes
                self._device.download(plane, self._objects.memory[name], self.stream, offset)
        if rows.size:
            self._mark("downloaded")
            self.stream.synchronize()

    def free(self) -> None:
        """Release everything on the GPU; the lane cannot be used any more."""
        for computation in self._objects.computations.values():
            if computation.graph is not None:
                computation.graph.free()
        self._gpu = None

    def spans_ms(self, since: Lane) -> SpansMs:
        """Begin and end of each step of the last batch; `since` is the lane loaded first."""
        assert self._objects.marks, "the lane is not timed"
        self.stream.synchronize()  # `wait` waits for the sums; the last mark comes after them
        begins_ends = (("upload", "uploaded"), ("compute", "computed"), ("download", "downloaded"))
        return {
            begin: (self._mark_ms(begin, since), self._mark_ms(end, since))
            for begin, end in begins_ends
        }

    def _mark(self, name: str) -> None:
        if self._objects.marks:
            self._objects.marks[name].record(self.stream)

    def _mark_ms(self, name: str, since: Lane) -> float:
        origin = since._objects.marks["loaded"]
        return float(self._objects.marks[name].time_since(origin))

    def _check(self, succeeded: bool) -> None:
        if not succeeded:
            self.stream.is_done()  # raises what has broken the device, if it is that
            raise DeviceError(f"TensorRT: {self._log.summary()}")
