"""A TensorRT plan on a GPU: loading it, and the execution contexts that compute it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import DTypeLike

from stripwatch.engines.base import IN_FLIGHT
from stripwatch.engines.cuda import Device, Memory
from stripwatch.engines.cuda_driver import OutOfDeviceMemory
from stripwatch.engines.identity import LIBRARIES, check_plan, load_runtime, rebuild_command
from stripwatch.engines.manifest import Manifest
from stripwatch.engines.trt_log import make_logger
from stripwatch.engines.trt_validity import accepted_by
from stripwatch.errors import DeviceError, ModelError
from stripwatch.files import write_whole

if TYPE_CHECKING:  # TensorRT's classes are the same, less those of the run-time configuration
    import tensorrt_rtx as rtx

MIB = 1 << 20
LESS_MEMORY = (
    "end other programs on this GPU, lower batch.rows, or rebuild with a smaller --batch, with "
    "--workspace-mib, or with --precision fp16 or int8"
)
Tensors = dict[str, tuple[DTypeLike, tuple[int, ...]]]  # dtype and shape by name


def tensors_of(manifest: Manifest, batch: int) -> Tensors:
    """The inputs and outputs of the inspection graph for `batch` frames."""
    lines, pixels = manifest.frame_shape
    classes = len(manifest.classes)
    tensors: Tensors = {
        "frames": (np.uint8, (batch, lines, pixels)),
        "thresholds": (np.float32, (classes,)),
        "mask": (np.uint8, (batch, lines, pixels)),
        "area": (np.float32, (batch, classes)),
        "peak": (np.float32, (batch, classes)),
        "prob": (np.uint8, (batch, classes, lines, pixels)),
    }
    if manifest.gate:
        tensors["presence_thresholds"] = (np.float32, (1 + classes,))
        tensors["absent"] = (np.uint8, (batch, classes))
    return tensors


def batch_sizes(fewest: int, most: int) -> list[int]:
    """The sizes in which batches of 1 to `most` frames are computed; the last frames are padding.

    Powers of two and the largest: few enough to compile and capture all of them at the warm-up, and
    a batch is padded to at most twice its frames.
    """
    powers = [1 << exponent for exponent in range(most.bit_length())]
    largest = max(fewest, most)
    return [*(size for size in powers if fewest <= size < largest), largest]


def size_bytes(tensors: Tensors) -> int:
    """Memory that the tensors need."""
    return sum(np.dtype(dtype).itemsize * prod(shape) for dtype, shape in tensors.values())


@dataclass
class GpuObjects:
    """Everything of a plan that its destructor releases on the GPU, released in this order.

    The destructors call the driver: they must run while the CUDA context exists and is current,
    and not when the last reference to the plan goes, which the traceback of an error may hold.
    """

    # By whether it captures: NVIDIA's samples keep them as long as the contexts.
    configs: dict[bool, rtx.IRuntimeConfig]
    cache: rtx.IRuntimeCache | None  # TensorRT-RTX's compiled kernels
    engine: rtx.ICudaEngine
    runtime: rtx.Runtime
    scratch: Memory


class DevicePlan:
    """A plan loaded into a GPU's memory.

    Its execution contexts share one scratch memory: two of them must not run at the same time.
    All calls are made inside `with device.current():`.
    """

    def __init__(self, folder: Path, manifest: Manifest, device: Device, batch: int) -> None:
        """Load the plan of an engine folder, for batches of at most `batch` frames.

        Raises:
            ModelError: the plan was not built for this machine, is damaged, or does not fit the
                manifest.
            DeviceError: the GPU has too little memory.
        """
        assert manifest.target in ("tensorrt", "tensorrt-rtx")
        self._folder, self._manifest, self._device = folder, manifest, device
        self._trt = load_runtime(manifest.target, manifest.plan)
        self.log = make_logger(self._trt)
        self.log.clear()
        path, version = folder / manifest.files[0], self._trt.__version__
        check_plan(folder, manifest, version, device.capability, accepted_by(self._trt, path))
        runtime: rtx.Runtime = self._trt.Runtime(self.log)
        if manifest.plan is not None and manifest.plan.version_compatible:
            runtime.engine_host_code_allowed = True  # the plan brings a lean runtime of its own
        content = path.read_bytes()
        engine: rtx.ICudaEngine | None = runtime.deserialize_cuda_engine(content)
        if engine is None:
            device.synchronize()  # raises what has broken the device, if it is that
            self._check_memory(len(content))
            title = LIBRARIES[manifest.target].title
            raise ModelError(f"{title} cannot load {path}: {self.log.summary()}; {self._rebuild()}")
        tensors = tensors_of(manifest, batch)
        self._check_tensors(engine, tensors)
        self._scratch_bytes = int(engine.device_memory_size_v2)
        needed_bytes = self._scratch_bytes + IN_FLIGHT * size_bytes(tensors)
        self._check_memory(needed_bytes, " besides its weights")
        scratch = device.allocate(max(1, self._scratch_bytes))
        # The plan holds the only reference to this object, so that `free` runs the destructors.
        self._gpu: GpuObjects | None = GpuObjects({}, None, engine, runtime, scratch)
        # TensorRT-RTX takes kernels of the same model of GPU and the same version alone.
        gpu = f"{re.sub('[^A-Za-z0-9]+', '-', device.name)}.{device.capability}"
        self._cache_path = path.with_name(f"{path.name}.{gpu}.{version}.cache")
        self._cached = b""
        # Whether the library captures CUDA graphs by itself.
        self.captures = manifest.target == "tensorrt-rtx"

    def context(self, capture: bool = False) -> rtx.IExecutionContext:
        """An execution context; with `capture`, for TensorRT-RTX, it runs from CUDA graphs.

        Raises:
            DeviceError: TensorRT cannot make one.
        """
        allocation = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context: rtx.IExecutionContext = self._objects.engine.create_execution_context(
            self._runtime_config(allocation, capture) if self.captures else allocation
        )
        if context is None:
            raise DeviceError(
                f"no execution context for {self._folder}: {self.log.summary()}; "
                f"{self._device.free_bytes() // MIB} MiB of {self._device.name} are free: if that "
                f"is little, {LESS_MEMORY}"
            )
        context.set_device_memory(int(self._objects.scratch), self._scratch_bytes)
        return context

    def save_cache(self) -> None:
        """Save the kernels that TensorRT-RTX has compiled beside the plan, for the next start.

        Where that fails, a warning says so: the engine runs all the same.
        """
        if self._objects.cache is None:
            return
        serialized: rtx.IHostMemory | None = self._objects.cache.serialize()
        if serialized is None:
            self._warn(self.log.summary())
            return
        compiled = bytes(serialized)
        if compiled == self._cached:
            return
        try:
            write_whole(self._cache_path, compiled)
        except OSError as error:
            self._warn(error.strerror)

    def free(self) -> None:
        """Release everything on the GPU; the plan's execution contexts must be gone."""
        self._gpu = None

    def _warn(self, reason: str | None) -> None:
        structlog.get_logger().warning(
            "compiled kernels are not kept, so every start compiles them anew",
            path=str(self._cache_path),
            reason=reason,
        )

    @property
    def _objects(self) -> GpuObjects:
        assert self._gpu is not None, "the plan is freed"
        return self._gpu

    def _runtime_config(self, allocation: Any, capture: bool) -> rtx.IRuntimeConfig:  # noqa: ANN401
        if capture in self._objects.configs:
            return self._objects.configs[capture]
        trt = self._trt
        config: rtx.IRuntimeConfig = self._objects.engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(allocation)
        # Compile the kernels of every batch size at the warm-up, not while a strip runs.
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        graphs = trt.CudaGraphStrategy
        config.cuda_graph_strategy = graphs.WHOLE_GRAPH_CAPTURE if capture else graphs.DISABLED
        if self._objects.cache is None:
            self._objects.cache = config.create_runtime_cache()
            if self._cache_path.is_file():
                self._cached = self._cache_path.read_bytes()
                # False for those of another GPU or version; they are then compiled again.
                self._objects.cache.deserialize(self._cached)
        config.set_runtime_cache(self._objects.cache)
        self._objects.configs[capture] = config
        return config

    def _check_tensors(self, engine: rtx.ICudaEngine, tensors: Tensors) -> None:
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        shapes = {name: engine.get_tensor_shape(name) for name in names}
        found = {
            name: tuple(shape[axis] for axis in range(1, len(shape)))
            for name, shape in shapes.items()
        }
        wanted = {name: shape[1:] for name, (_, shape) in tensors.items()}
        if found != wanted:
            raise ModelError(
                f"the engine in {self._folder} is not what its manifest describes: it has "
                f"{found} beside the batch, not {wanted}; {self._rebuild()}"
            )

    def _check_memory(self, needed_bytes: int, besides: str = "") -> None:
        free_bytes = self._device.free_bytes()
        if needed_bytes > free_bytes:
            raise OutOfDeviceMemory(
                f"the engine in {self._folder} needs {-(-needed_bytes // MIB)} MiB of "
                f"{self._device.name}{besides}, and {free_bytes // MIB} MiB are "
                f"free; {LESS_MEMORY}"
            )

    def _rebuild(self) -> str:
        return f"build it anew with: {rebuild_command(self._folder, self._manifest)}"
