"""TensorRT-RTX's Python API on the simulated GPU."""

from simulated_builder import (
    IBuilderConfig,
    INetworkDefinition,
    IOptimizationProfile,
    IProgressMonitor,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from simulated_builder import RtxBuilder as Builder
from simulated_trt import IExecutionContext, IRuntimeCache, IRuntimeConfig
from simulated_trt import RtxCudaEngine as ICudaEngine
from simulated_trt import RtxRuntime as Runtime
from simulated_types import (
    VERSIONS,
    BuilderFlag,
    ComputeCapability,
    CudaGraphStrategy,
    DataType,
    Dims,
    DynamicShapesKernelSpecializationStrategy,
    EngineInvalidityDiagnostics,
    EngineValidity,
    ExecutionContextAllocationStrategy,
    HardwareCompatibilityLevel,
    IHostMemory,
    ILogger,
    Logger,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    TensorIOMode,
    nptype,
)

__version__ = VERSIONS["tensorrt_rtx"]
__all__ = [
    "Builder",
    "BuilderFlag",
    "ComputeCapability",
    "CudaGraphStrategy",
    "DataType",
    "Dims",
    "DynamicShapesKernelSpecializationStrategy",
    "EngineInvalidityDiagnostics",
    "EngineValidity",
    "ExecutionContextAllocationStrategy",
    "HardwareCompatibilityLevel",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "IRuntimeCache",
    "IRuntimeConfig",
    "ITimingCache",
    "Logger",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
    "nptype",
]
