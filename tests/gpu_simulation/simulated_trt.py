"""The runtime's half of the simulated TensorRT: plans are computed by ONNX Runtime."""

from __future__ import annotations

from math import prod

import onnx
import simulated_driver as gpu
from simulated_execution import ALIGNMENT, IExecutionContext, Tensor
from simulated_types import (
    MAGIC,
    VERSIONS,
    CudaGraphStrategy,
    DataType,
    Dims,
    DynamicShapesKernelSpecializationStrategy,
    EngineInvalidityDiagnostics,
    EngineValidity,
    ExecutionContextAllocationStrategy,
    IHostMemory,
    ILogger,
    PlanContent,
    Shape,
    TensorIOMode,
)

HEADER_BYTES = 64
RTX_CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))  # and all above the last
CACHE_MAGIC = b"simulated kernels\n"
DTYPES: dict[int, DataType] = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.FLOAT16: DataType.HALF,
    onnx.TensorProto.INT8: DataType.INT8,
    onnx.TensorProto.INT32: DataType.INT32,
    onnx.TensorProto.BOOL: DataType.BOOL,
    onnx.TensorProto.UINT8: DataType.UINT8,
    onnx.TensorProto.INT64: DataType.INT64,
}


class IRuntimeCache:
    """Kernels that TensorRT-RTX has compiled: here, for which shapes."""

    def __init__(self) -> None:
        self.compiled: set[str] = set()

    def deserialize(self, blob: bytes) -> bool:
        if not bytes(blob).startswith(CACHE_MAGIC):
            return False
        self.compiled |= set(bytes(blob).decode().splitlines()[1:])
        return True

    def serialize(self) -> IHostMemory:
        return IHostMemory(CACHE_MAGIC + "\n".join(sorted(self.compiled)).encode())

    def reset(self) -> bool:
        self.compiled.clear()
        return True


class IRuntimeConfig:
    """How TensorRT-RTX makes an execution context."""

    def __init__(self) -> None:
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED
        self.dynamic_shapes_kernel_specialization_strategy = (
            DynamicShapesKernelSpecializationStrategy.LAZY
        )
        self._allocation = ExecutionContextAllocationStrategy.STATIC
        self._cache: IRuntimeCache | None = None

    def set_execution_context_allocation_strategy(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> None:
        self._allocation = strategy

    def get_execution_context_allocation_strategy(self) -> ExecutionContextAllocationStrategy:
        return self._allocation

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache | None = None) -> bool:
        self._cache = cache
        return True

    def get_runtime_cache(self) -> IRuntimeCache | None:
        return self._cache


class ICudaEngine:
    """A plan in the GPU's memory."""

    def __init__(self, content: PlanContent, logger: ILogger) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = onnx.load_model_from_string(content.graph).graph
        self.logger, self.profiles = logger, content.profiles
        self.tensors: dict[str, Tensor] = {
            value.name: _tensor(mode, value)
            for mode, values in (
                (TensorIOMode.INPUT, graph.input),
                (TensorIOMode.OUTPUT, graph.output),
            )
            for value in values
        }
        self.session = onnxruntime.InferenceSession(
            content.graph, options, providers=["CPUExecutionProvider"]
        )
        self.weights = gpu.allocate(self, len(content.graph))

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return max(1, len(self.profiles))

    @property
    def device_memory_size_v2(self) -> int:
        """Scratch memory: here, what the largest inputs would take as float32."""
        shapes = [self.shapes_of(name)[-1] for name in self.tensors if self._is_input(name)]
        return sum(4 * prod(shape) for shape in shapes) + ALIGNMENT

    def get_tensor_name(self, index: int) -> str:
        return str(tuple(self.tensors)[index])

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return self.tensors[name].mode if name in self.tensors else TensorIOMode.NONE

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.tensors[name].dtype

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(self.tensors[name].shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        assert profile_index < self.num_optimization_profiles
        return [Dims(shape) for shape in self.shapes_of(name)]

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy
        | IRuntimeConfig = ExecutionContextAllocationStrategy.STATIC,
        runtime_config: IRuntimeConfig | None = None,
    ) -> IExecutionContext | None:
        config = runtime_config
        if isinstance(strategy, IRuntimeConfig):
            config = strategy
        elif config is None:
            config = IRuntimeConfig()
            config.set_execution_context_allocation_strategy(strategy)
        captures = config.cuda_graph_strategy is CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        context = IExecutionContext(self, config.get_runtime_cache(), captures)
        if config.get_execution_context_allocation_strategy() is not _USER_MANAGED:
            scratch = gpu.allocate(context, self.device_memory_size_v2)
            if scratch is None:
                self.logger.log(ILogger.ERROR, "Error Code 2: OutOfMemory")
                return None
            context.set_device_memory(scratch, self.device_memory_size_v2)
        return context

    def shapes_of(self, name: str) -> list[Shape]:
        """Smallest, best and largest shape of an input."""
        fixed = self.tensors[name].shape
        return next((p[name] for p in self.profiles if name in p), [fixed, fixed, fixed])

    def _is_input(self, name: str) -> bool:
        return self.tensors[name].mode is TensorIOMode.INPUT


_USER_MANAGED = ExecutionContextAllocationStrategy.USER_MANAGED


class RtxCudaEngine(ICudaEngine):
    """TensorRT-RTX's also makes run-time configurations."""

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()


class Runtime:
    """Loads plans."""

    _library = "tensorrt"
    _engine_class = ICudaEngine

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        try:
            content = PlanContent.unpack(bytes(serialized_engine))
        except ValueError as error:
            self._log(str(error))
            return None
        built, here = (content.library, content.version), VERSIONS[self._library]
        if built != (self._library, here):
            self._log(f"The engine plan file is not compatible: {built}, not {here}")
            return None
        engine = self._engine_class(content, self.logger)
        if engine.weights is None:
            self._log("Error Code 2: OutOfMemory, or no CUDA context is current")
            return None
        return engine

    def _log(self, reason: str) -> None:
        self.logger.log(ILogger.ERROR, f"IRuntime::deserializeCudaEngine: {reason}")


class RtxRuntime(Runtime):
    _library = "tensorrt_rtx"
    _engine_class = RtxCudaEngine

    @property
    def engine_header_size(self) -> int:
        return HEADER_BYTES

    def get_engine_validity(self, buffer: bytes) -> tuple[EngineValidity, int]:
        here = gpu.compute_capability()
        if not bytes(buffer).startswith(MAGIC):
            return EngineValidity.INVALID, int(EngineInvalidityDiagnostics.MALFORMED_ENGINE)
        if here not in RTX_CAPABILITIES and here < RTX_CAPABILITIES[-1]:
            return EngineValidity.INVALID, int(EngineInvalidityDiagnostics.UNSUPPORTED_CC)
        return EngineValidity.VALID, 0

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        validity, why = self.get_engine_validity(serialized_engine)
        if why == EngineInvalidityDiagnostics.UNSUPPORTED_CC:
            self._log(f"TensorRT-RTX does not support this compute capability ({validity.name})")
            return None
        return super().deserialize_cuda_engine(serialized_engine)


def _tensor(mode: TensorIOMode, value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim]
    return Tensor(mode, DTYPES[kind.elem_type], tuple(dims))
