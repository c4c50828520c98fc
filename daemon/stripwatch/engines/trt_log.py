"""The logger that TensorRT writes to: keeps its errors for our error messages."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any

ERRORS_KEPT = 5
CHARACTERS_MAX = 300


def make_logger(trt: ModuleType) -> Any:  # noqa: ANN401 - a class of the library
    """A logger for TensorRT; its `summary() -> str` returns the last errors in one line.

    Args:
        trt: the module `tensorrt` or `tensorrt_rtx`.
    """

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined] # chosen at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=ERRORS_KEPT)

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401 - of the library
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self._errors.append(message.strip().splitlines()[0][:CHARACTERS_MAX])

        def summary(self) -> str:
            return "; ".join(self._errors) or "it gives no reason"

    return Logger()
