"""Names and values that the simulated TensorRT's builder and runtime share.

Spelling, numbers and arguments are those of TensorRT-RTX 1.7; test_simulation.py compares them
with the installed package.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

MAGIC = b"simt"  # how plans begin; then the SHA-256 of the rest, then a line of JSON
VERSIONS = {"tensorrt": "11.4.0.106", "tensorrt_rtx": "1.7.1.116", "stand_in": "0"}
Shape = tuple[int, ...]


class TensorIOMode(IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    INT64 = 8


class ExecutionContextAllocationStrategy(IntEnum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class CudaGraphStrategy(IntEnum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


class DynamicShapesKernelSpecializationStrategy(IntEnum):
    LAZY = 0
    EAGER = 1
    NONE = 2


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 0


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class BuilderFlag(IntEnum):
    TF32 = 6
    VERSION_COMPATIBLE = 12


class HardwareCompatibilityLevel(IntEnum):
    NONE = 0
    AMPERE_PLUS = 1
    SAME_COMPUTE_CAPABILITY = 2


class EngineValidity(IntEnum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class EngineInvalidityDiagnostics(IntEnum):
    UNSUPPORTED_CC = 2
    MALFORMED_ENGINE = 32


class ComputeCapability(IntEnum):
    NONE = 0
    CURRENT = 1
    SM75 = 75
    SM80 = 80
    SM86 = 86
    SM89 = 89
    SM120 = 120
    SM121 = 121


class Dims(tuple[int, ...]):
    """A shape; -1 where it is not known."""

    __slots__ = ()


class IHostMemory(bytes):
    """Serialized bytes."""

    __slots__ = ()

    @property
    def nbytes(self) -> int:
        return len(self)

    @property
    def dtype(self) -> DataType:
        return DataType.INT8


class ILogger:
    """Takes what the library says; a subclass has its own `log`."""

    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    INTERNAL_ERROR = Severity.INTERNAL_ERROR
    ERROR = Severity.ERROR
    WARNING = Severity.WARNING
    INFO = Severity.INFO
    VERBOSE = Severity.VERBOSE

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class Logger(ILogger):
    """Prints to the standard error output."""

    def __init__(self, min_severity: ILogger.Severity = ILogger.Severity.WARNING) -> None:
        super().__init__()
        self.min_severity = min_severity

    def log(self, severity: ILogger.Severity, msg: str) -> None:
        if severity <= self.min_severity:
            print(f"[TRT] [{severity.name}] {msg}", file=sys.stderr)


NUMPY_TYPES = {
    DataType.FLOAT: np.float32,
    DataType.HALF: np.float16,
    DataType.INT8: np.int8,
    DataType.INT32: np.int32,
    DataType.BOOL: np.bool_,
    DataType.UINT8: np.uint8,
    DataType.INT64: np.int64,
}


def nptype(trt_type: DataType) -> type[np.generic]:
    """The numpy type of a TensorRT type."""
    return NUMPY_TYPES[trt_type]


@dataclass(frozen=True)
class PlanContent:
    """What the simulation's builder gives its runtime."""

    library: str
    version: str
    profiles: list[dict[str, list[Shape]]]  # fewest, best, most of each input
    graph: bytes  # ONNX

    def pack(self) -> bytes:
        header = {"library": self.library, "version": self.version, "profiles": self.profiles}
        content = json.dumps(header).encode() + b"\n" + self.graph
        return MAGIC + hashlib.sha256(content).digest() + content

    @classmethod
    def unpack(cls, plan: bytes) -> PlanContent:
        """Undo `pack`.

        Raises:
            ValueError: it is damaged, or never was a plan.
        """
        content = plan[len(MAGIC) + 32 :]
        if plan[: len(MAGIC) + 32] != MAGIC + hashlib.sha256(content).digest():
            raise ValueError("Serialization assertion magicTagRead == kMAGIC_TAG failed")
        header, _, graph = content.partition(b"\n")
        fields = json.loads(header)
        profiles = [
            {name: [tuple(shape) for shape in shapes] for name, shapes in profile.items()}
            for profile in fields["profiles"]
        ]
        return cls(fields["library"], fields["version"], profiles, graph)
