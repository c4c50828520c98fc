"""What runs in the simulated TensorRT: execution contexts, and the executions that they enqueue.

An execution reads and writes the simulated GPU's memory when its stream comes to it, with the
shapes and addresses that were set when it was enqueued. What the real library leaves undefined,
such as two executions at a time on one scratch memory, breaks the CUDA context here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import simulated_driver as gpu
from numpy.typing import NDArray
from simulated_types import DataType, Dims, ILogger, Shape, TensorIOMode, nptype

ALIGNMENT = 256

_busy: set[int] = set()  # scratch memory of the executions that run now
_busy_lock = threading.Lock()


@dataclass(frozen=True)
class Tensor:
    """An input or output of an engine."""

    mode: TensorIOMode
    dtype: DataType
    dims: tuple[int | str, ...]  # a name where the size is not fixed

    @property
    def shape(self) -> Shape:
        return tuple(dim if isinstance(dim, int) else -1 for dim in self.dims)


class Engine(Protocol):
    """What an execution context needs of its engine."""

    logger: ILogger
    session: Any  # onnxruntime.InferenceSession
    tensors: dict[str, Tensor]

    @property
    def device_memory_size_v2(self) -> int: ...

    def get_tensor_mode(self, name: str) -> TensorIOMode: ...

    def shapes_of(self, name: str) -> list[Shape]: ...


class Cache(Protocol):
    """What it needs of TensorRT-RTX's runtime cache."""

    compiled: set[str]


class IExecutionContext:
    """Shapes and addresses for an engine's executions."""

    def __init__(self, engine: Engine, cache: Cache | None, captures: bool = False) -> None:
        self.engine = engine
        self._captures = captures  # the library does so by itself
        self._passes = 0  # since shapes, addresses or memory were set
        self._graph: gpu.Graph | None = None
        self._captured: list[Execution] = []  # that graphs run
        self._cache = cache
        self._shapes: dict[str, Shape] = {
            name: tensor.shape
            for name, tensor in engine.tensors.items()
            if tensor.mode is TensorIOMode.INPUT and -1 not in tensor.shape
        }
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)  # address and size
        self._pending: set[Execution] = set()

    def set_input_shape(self, name: str, shape: tuple[int, ...] | list[int]) -> bool:
        if not isinstance(shape, tuple | list):
            raise TypeError("set_input_shape(): incompatible function arguments")
        if self.engine.get_tensor_mode(name) is not TensorIOMode.INPUT:
            return self._refuse(f"setInputShape: {name} is not an input")
        least, _, most = self.engine.shapes_of(name)
        fits = len(shape) == len(least) and all(
            low <= size <= high for low, size, high in zip(least, shape, most, strict=True)
        )
        if not fits:
            return self._refuse(f"setInputShape: {name} {shape} is not in the profile's range")
        self._shapes[name] = tuple(shape)
        self._passes = 0
        if self._cache is not None:
            self._cache.compiled.add(f"{name} {tuple(shape)}")
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self.engine.tensors:
            return self._refuse(f"setTensorAddress: there is no tensor {name}")
        if memory % ALIGNMENT:
            return self._refuse(f"setTensorAddress: {name} is not aligned to {ALIGNMENT} bytes")
        self._addresses[name] = int(memory)
        self._passes = 0
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_device_memory(self, memory: int, size: int) -> None:
        if memory % ALIGNMENT:
            self._refuse(f"setDeviceMemoryV2: not aligned to {ALIGNMENT} bytes")
        else:
            self._scratch = (int(memory), int(size))
            self._passes = 0

    def get_tensor_shape(self, name: str) -> Dims:
        tensor = self.engine.tensors[name]
        if tensor.mode is TensorIOMode.INPUT:
            return Dims(self._shapes.get(name, tensor.shape))
        sizes = {
            dim: size
            for source, shape in self._shapes.items()
            for dim, size in zip(self.engine.tensors[source].dims, shape, strict=True)
        }
        return Dims(dim if isinstance(dim, int) else sizes.get(dim, -1) for dim in tensor.dims)

    def infer_shapes(self) -> list[str]:
        inputs = TensorIOMode.INPUT
        tensors = self.engine.tensors.items()
        return [name for name, t in tensors if t.mode is inputs and name not in self._shapes]

    def execute_async_v3(self, stream_handle: int) -> bool:
        missing = self.infer_shapes()
        if missing:
            return self._refuse(f"enqueueV3: no shape is set for {', '.join(missing)}")
        missing = [name for name in self.engine.tensors if name not in self._addresses]
        if missing:
            return self._refuse(f"enqueueV3: no address is set for {', '.join(missing)}")
        if not self._scratch[0] or self._scratch[1] < self.engine.device_memory_size_v2:
            return self._refuse("enqueueV3: the device memory is missing or too small")
        stream = int(stream_handle)
        if self._passes == 0 and gpu.is_capturing(stream):
            gpu.wait_for(stream)  # the first pass allocates and waits, and so breaks the capture
        self._passes += 1
        succeeded = self._run_captured(stream) if self._captures else self._enqueue(stream)
        if not succeeded:
            return self._refuse("enqueueV3: Cuda Runtime (the stream takes no kernel)")
        return True

    def _run_captured(self, stream: int) -> bool:
        """Captures in the second pass, and replays from the third on."""
        if self._passes == 1:
            self._graph = None
            return self._enqueue(stream)
        if self._graph is None:
            self._graph = gpu.Graph(self, stream, lambda: self._enqueue(stream))
        return self._graph.launch(stream)

    def _enqueue(self, stream: int) -> bool:
        execution = Execution(self, dict(self._shapes), dict(self._addresses), self._scratch)
        if gpu.is_capturing(stream):
            self._captured.append(execution)
        else:
            self._pending = {each for each in self._pending if not each.over} | {execution}
        return gpu.launch(stream, execution)

    def _refuse(self, reason: str) -> bool:
        self.engine.logger.log(ILogger.ERROR, f"IExecutionContext::{reason}")
        return False


class Execution:
    """What was enqueued: the kernel of a stream."""

    def __init__(
        self,
        context: IExecutionContext,
        shapes: dict[str, Shape],
        addresses: dict[str, int],
        scratch: tuple[int, int],
    ) -> None:
        self._tensors, self._session = context.engine.tensors, context.engine.session
        self._shapes, self._addresses, self._scratch = shapes, addresses, scratch
        self.over = False

    def __call__(self) -> None:
        with _busy_lock:
            alone = self._scratch[0] not in _busy
            _busy.add(self._scratch[0])
        if not alone or not gpu.is_device_memory(*self._scratch):
            gpu.fault(gpu.LAUNCH_FAILED if not alone else gpu.ILLEGAL_ADDRESS)
            self.over = True
            return
        try:
            self._compute()
        except MemoryError:
            gpu.fault(gpu.ILLEGAL_ADDRESS)
        finally:
            with _busy_lock:
                _busy.discard(self._scratch[0])
            self.over = True

    def _compute(self) -> None:
        inputs = {name: self._read(name, shape) for name, shape in self._shapes.items()}
        gpu.pause()
        names: Sequence[str] = [output.name for output in self._session.get_outputs()]
        for name, output in zip(names, self._session.run(names, inputs), strict=True):
            gpu.write(self._addresses[name], np.ascontiguousarray(output).tobytes())

    def _read(self, name: str, shape: Shape) -> NDArray[Any]:
        dtype = np.dtype(nptype(self._tensors[name].dtype))
        content = gpu.read(self._addresses[name], dtype.itemsize * prod(shape))
        return np.frombuffer(content, dtype).reshape(shape)
