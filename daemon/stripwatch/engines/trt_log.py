"""The logger that TensorRT writes to: errors for our messages, warnings for the daemon's log."""

from __future__ import annotations

from collections import deque
from functools import cache
from types import ModuleType
from typing import Any

import structlog

ERRORS_KEPT = 5
CHARACTERS_MAX = 300


@cache
def make_logger(trt: ModuleType) -> Any:  # noqa: ANN401 - a class of the library
    """The logger of a library: one for the life of the process, however many engines there are.

    TensorRT keeps the first logger that it is given, without a reference, and writes messages
    that belong to no engine to it: with a logger for each engine, such a message crashes the
    process once the first engine is gone.

    Its `clear()` forgets earlier errors, when an engine begins to load; its `summary() -> str`
    returns the last errors in one line. Any thread of the library may call `log`.

    Args:
        trt: the module `tensorrt`, `tensorrt_lean` or `tensorrt_rtx`.
    """

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined] # chosen at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=ERRORS_KEPT)

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401 - of the library
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self._errors.append(_first_line(message))
            elif severity == trt.ILogger.WARNING:
                structlog.get_logger().warning(
                    "the engine's library warns", library=trt.__name__, reason=_first_line(message)
                )

        def clear(self) -> None:
            self._errors.clear()

        def summary(self) -> str:
            return "; ".join(tuple(self._errors)) or "it gives no reason"

    return Logger()


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0][:CHARACTERS_MAX]
