"""CUDA graphs: the kernels of one batch, captured from a stream and launched as one.

pycuda has no calls for graphs, so they go through ctypes. A graph keeps the addresses and shapes
that its kernels were given when it was captured.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from stripwatch.engines.cuda_driver import Driver
from stripwatch.errors import DeviceError

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on using the GPU


class Graph:
    """An executable graph. `free` it while its CUDA context is current."""

    def __init__(self, driver: Driver, stream: Any, enqueue: Callable[[], bool]) -> None:  # noqa: ANN401
        """Capture what `enqueue` gives to the stream; nothing of it runs.

        Args:
            driver: of the context that is current.
            stream: pycuda's, non-blocking; it holds no work that the capture could touch.
            enqueue: gives kernels to the stream, and returns whether that succeeded.

        Raises:
            DeviceError: what was given cannot be captured; the stream can be used as before.
        """
        self._driver = driver
        self._executable = ctypes.c_void_p()
        graph, handle = ctypes.c_void_p(), ctypes.c_void_p(stream.handle)
        driver.call("cuStreamBeginCapture_v2", handle, THREAD_LOCAL)
        try:
            succeeded = enqueue()
        finally:  # whatever happened: a stream that captures cannot be used
            code = driver.try_call("cuStreamEndCapture", handle, ctypes.byref(graph))
        if code or not succeeded or not graph.value:
            _destroy(driver, graph)
            raise DeviceError(f"the engine cannot be captured as a CUDA graph (error {code})")
        flags = ctypes.c_ulonglong(0)
        try:
            executable = ctypes.byref(self._executable)
            driver.call("cuGraphInstantiateWithFlags", executable, graph, flags)
        finally:
            _destroy(driver, graph)

    def launch(self, stream: Any) -> None:  # noqa: ANN401 - pycuda carries no types
        """Run the kernels, in the order of the stream.

        Raises:
            DeviceError: the launch failed.
        """
        handle = ctypes.c_void_p(stream.handle)
        self._driver.call("cuGraphLaunch", self._executable, handle)

    def free(self) -> None:
        """Release the graph; of a context that is broken the driver has taken it already."""
        if self._executable.value:
            self._driver.try_call("cuGraphExecDestroy", self._executable)
            self._executable = ctypes.c_void_p()


def _destroy(driver: Driver, graph: ctypes.c_void_p) -> None:
    if graph.value:
        driver.try_call("cuGraphDestroy", graph)
