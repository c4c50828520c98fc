"""In place of TensorRT where a card has none: the tests' tiny model as CUDA kernels of our own.

With it pycuda, page locking, streams, events, CUDA graphs, hot-swap, faults and the whole daemon
run on the real driver. It says nothing about TensorRT. Plans are those of the simulated TensorRT,
whose builder it takes; `nvcc` compiles kernels.cu when the first plan is loaded.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import weakref
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import simulated_builder
from numpy.typing import NDArray
from onnx import numpy_helper
from simulated_types import VERSIONS, Dims, IHostMemory, ILogger, PlanContent

HERE = Path(__file__).resolve().parent
CLASSES, TAPS, THREADS = 2, 5, 256
KERNELS = ("probabilities", "results")


class Work(ctypes.Structure):
    """The argument of both kernels, as kernels.cu has it."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("frames", "thresholds", "planes", "mask")),
        *((name, ctypes.c_void_p) for name in ("area", "peak", "prob")),
        ("weights", ctypes.c_float * (CLASSES * TAPS * TAPS)),
        *((name, ctypes.c_float) for name in ("gain", "bias")),
        *((name, ctypes.c_int) for name in ("n", "lines", "pixels")),
    )


def driver(function: str, *arguments: object) -> int:
    """Call the CUDA driver; returns its error, 0 = none."""
    return int(getattr(ctypes.CDLL("libcuda.so.1"), function)(*arguments))


def architecture() -> str:
    """Of the GPU whose context is current, for example "sm_90"."""
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    driver("cuCtxGetDevice", ctypes.byref(device))
    driver("cuDeviceComputeCapability", ctypes.byref(major), ctypes.byref(minor), device)
    return f"sm_{major.value}{minor.value}"


@cache
def compiled_kernels(arch: str) -> tempfile.TemporaryDirectory[str]:
    """Folder of kernels.cubin, for the life of the process.

    Raises:
        RuntimeError: nvcc fails.
    """
    folder = tempfile.TemporaryDirectory(prefix="stand-in-")
    out, source = Path(folder.name) / "kernels.cubin", HERE / "kernels.cu"
    nvcc = os.environ.get("NVCC", "nvcc")
    command = [nvcc, "-cubin", f"-arch={arch}", "-o", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return folder


class Builder(simulated_builder.Builder):
    """Writes plans of the tiny model; TensorRT's own would measure kernels on the card."""

    _library = "stand_in"

    def build_serialized_network(
        self,
        network: simulated_builder.INetworkDefinition,
        config: simulated_builder.IBuilderConfig,
    ) -> IHostMemory | None:
        if network.model is not None and weights_of(network.model.graph) is None:
            self.logger.log(ILogger.ERROR, "the stand-in computes the tests' tiny model alone")
            return None
        return super().build_serialized_network(network, config)


def weights_of(graph: onnx.GraphProto) -> NDArray[np.float32] | None:
    """The tiny model's weights, float32 [classes, 1, 5, 5]; None: it is another model."""
    shape = (CLASSES, 1, TAPS, TAPS)
    found = [value for value in graph.initializer if tuple(value.dims) == shape]
    return numpy_helper.to_array(found[0]).astype(np.float32) if len(found) == 1 else None


class ICudaEngine:
    """A plan in the GPU's memory: the kernels, and the shapes of its tensors."""

    def __init__(self, content: PlanContent, logger: ILogger, compiled: Path) -> None:
        graph = onnx.load_model_from_string(content.graph).graph
        self.logger = logger
        self.batch_max = max(shape[-1][0] for p in content.profiles for shape in p.values())
        self.tensors = {
            value.name: tuple(dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim)
            for value in (*graph.input, *graph.output)
        }
        constants = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
        self.work = Work(lines=self.tensors["frames"][1], pixels=self.tensors["frames"][2])
        for name in ("gain", "bias"):
            (value,) = (array for key, array in constants.items() if key.endswith(f"/{name}"))
            setattr(self.work, name, value.item())
        weights = weights_of(graph)
        assert weights is not None
        self.work.weights[:] = weights.ravel().tolist()
        module = ctypes.c_void_p()
        self.functions = [ctypes.c_void_p() for _ in KERNELS]
        code = driver("cuModuleLoad", ctypes.byref(module), str(compiled).encode())
        for name, function in zip(KERNELS, self.functions, strict=True):
            find = ctypes.byref(function), module, name.encode()
            code = code or driver("cuModuleGetFunction", *find)
        assert not code, f"the kernels cannot be loaded: CUDA error {code}"
        weakref.finalize(self, driver, "cuModuleUnload", module).atexit = False

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    @property
    def device_memory_size_v2(self) -> int:
        return 4 * self.batch_max * CLASSES * (self.work.lines // 2) * (self.work.pixels // 2)

    def get_tensor_name(self, index: int) -> str:
        return str(tuple(self.tensors)[index])

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(self.tensors[name])

    def create_execution_context(self, strategy: Any) -> IExecutionContext:  # noqa: ARG002
        return IExecutionContext(self)


class IExecutionContext:
    """The kernels with shape and addresses."""

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self._work = Work.from_buffer_copy(engine.work)

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= self._engine.device_memory_size_v2
        self._work.planes = memory

    def set_tensor_address(self, name: str, memory: int) -> bool:
        setattr(self._work, name, memory)
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._work.n = shape[0]
        return name == "frames" and shape[0] <= self._engine.batch_max

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Launch both kernels; the driver copies their argument."""
        work = self._work
        planes = CLASSES * (work.lines // 2) * (work.pixels // 2)
        counts = work.n * planes, work.n * prod((work.lines, work.pixels))
        for function, count in zip(self._engine.functions, counts, strict=True):
            sizes = [ctypes.c_uint(size) for size in (-(-count // THREADS), 1, 1, THREADS, 1, 1, 0)]
            arguments = (ctypes.c_void_p * 1)(ctypes.addressof(work))
            handle = ctypes.c_void_p(stream_handle)
            code = driver("cuLaunchKernel", function, *sizes, handle, arguments, None)
            if code:
                self._engine.logger.log(ILogger.ERROR, f"cuLaunchKernel: CUDA error {code}")
                return False
        return True


class Runtime:
    """Loads plans."""

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        try:
            content = PlanContent.unpack(bytes(serialized_engine))
            compiled = Path(compiled_kernels(architecture()).name) / "kernels.cubin"
        except (ValueError, RuntimeError) as error:
            self._logger.log(ILogger.ERROR, f"deserialize_cuda_engine: {error}")
            return None
        if (content.library, content.version) != ("stand_in", VERSIONS["stand_in"]):
            self._logger.log(ILogger.ERROR, f"built by {content.library} {content.version}")
            return None
        return ICudaEngine(content, self._logger, compiled)
