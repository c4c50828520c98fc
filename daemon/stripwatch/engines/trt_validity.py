"""TensorRT-RTX's own word on whether an engine runs on a GPU, asked before the engine is loaded."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from stripwatch.engines.trt_log import make_logger

if TYPE_CHECKING:
    import tensorrt_rtx as rtx


def accepted_by(trt: ModuleType, path: Path) -> bool | None:
    """Whether the library accepts a plan on the GPU whose context is current.

    Args:
        trt: the library.
        path: file of the plan; its header is read.

    Returns:
        None where the library cannot tell, as TensorRT, or objects to something else than the
        GPU's compute capability: then loading the plan says what it is.
    """
    if trt.__name__ != "tensorrt_rtx":
        return None
    runtime: rtx.Runtime = trt.Runtime(make_logger(trt))
    with path.open("rb") as file:
        validity, diagnostics = runtime.get_engine_validity(file.read(runtime.engine_header_size))
    if validity != trt.EngineValidity.INVALID:
        return True
    return False if diagnostics & int(trt.EngineInvalidityDiagnostics.UNSUPPORTED_CC) else None
