"""CUDA: one GPU, its context, memory, streams and events. A failed call is a DeviceError.

Only the cuda and trt files use the GPU.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from numpy.typing import NDArray

from stripwatch.engines.cuda_driver import Driver
from stripwatch.engines.cuda_graph import THREAD_LOCAL, Graph

PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: locked for every context of the process
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not take turns with the legacy stream
ALREADY_REGISTERED = 712  # CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED

Stream = Any  # pycuda.driver.Stream; pycuda carries no types
Event = Any  # pycuda.driver.Event
Memory = Any  # pycuda.driver.DeviceAllocation; int() of it is the address


def compute_capability(ordinal: int = 0) -> str:
    """The compute capability of a GPU, for example "8.9".

    Raises:
        ModelError: pycuda is not installed.
        DeviceError: there is no such GPU, or no driver.
    """
    driver = Driver()
    gpu = driver.find(ordinal)
    with driver.checked():
        major, minor = gpu.compute_capability()
        return f"{major}.{minor}"


class Device:
    """One GPU with a CUDA context of its own.

    Engines that run beside each other share it. The last `release` destroys the context, and with
    it everything that a fault has left there. The context is current only inside
    `with device.current():`, so calls may come from any thread, but for one engine not from two
    threads at a time.
    """

    def __init__(self, ordinal: int) -> None:
        """Open the GPU of this number.

        Raises:
            ModelError: pycuda is not installed.
            DeviceError: there is no such GPU, no driver, or no room for a context.
        """
        self._driver = Driver()
        self._cuda = self._driver.cuda
        gpu = self._driver.find(ordinal)
        with self._driver.checked():
            self.name: str = gpu.name()
            self.capability = ".".join(map(str, gpu.compute_capability()))
            # A thread that waits for the GPU sleeps: the cores belong to inspection.
            self._context = gpu.make_context(self._cuda.ctx_flags.SCHED_BLOCKING_SYNC)
            self._context.pop()
        self._users = 1
        self._pins: Counter[int] = Counter()  # by address: how often it is pinned
        self._thread = threading.local()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current: calls go to this GPU.

        Raises:
            BrokenDeviceError: a call failed, and only a new process can use the GPU again.
            DeviceError: a call failed.
        """
        with self._driver.checked():
            self._context.push()
            try:
                self._ignore_captures_elsewhere()
                yield
            finally:
                self._context.pop()

    def retain(self) -> Device:
        """Count one more engine that uses the device."""
        self._users += 1
        return self

    def release(self) -> None:
        """Count one engine less; the last destroys the context. Raises nothing.

        A broken context may not become current any more: then it is destroyed by its handle.
        """
        self._users -= 1
        if self._users:
            return
        with suppress(self._cuda.Error):
            try:
                self._context.push()
            except self._cuda.Error:
                self._driver.try_call("cuCtxDestroy_v2", ctypes.c_void_p(self._context.handle))
            self._context.detach()  # pops it, too

    def stream(self) -> Stream:
        """A new stream: its operations run in the order in which they are queued.

        It does not take turns with the legacy stream, on which a library may copy weights while
        another engine runs.
        """
        return self._cuda.Stream(NON_BLOCKING)

    def event(self, timing: bool = False) -> Event:
        """A new event; with `timing` it records when it happens."""
        flags = self._cuda.event_flags
        return self._cuda.Event(flags.BLOCKING_SYNC | (0 if timing else flags.DISABLE_TIMING))

    def capture(self, stream: Stream, enqueue: Callable[[], bool]) -> Graph:
        """Capture what `enqueue` gives to a stream as a CUDA graph.

        Raises:
            DeviceError: it cannot be captured.
        """
        return Graph(self._driver, stream, enqueue)

    def allocate(self, size_bytes: int) -> Memory:
        """Memory of the GPU, uninitialized.

        Raises:
            OutOfDeviceMemory: there is not enough left.
        """
        with self._driver.checked():
            return self._cuda.mem_alloc(size_bytes)

    def synchronize(self) -> None:
        """Wait for all work of the context, or learn what has broken it."""
        self._cuda.Context.synchronize()

    def free_bytes(self) -> int:
        """Free memory of the GPU."""
        return int(self._cuda.mem_get_info()[0])

    def pin(self, array: NDArray[Any]) -> None:
        """Lock the pages of an array, so that the GPU can copy them without the CPU.

        The array must begin at a page (`stripwatch.engines.base.page_aligned`). An
        array that is pinned twice stays locked until it is unpinned twice.

        Raises:
            DeviceError: the pages cannot be locked.
        """
        address = array.ctypes.data
        if not self._pins[address]:
            # pycuda 2026.1 crashes in register_host_memory: it sets an array's base a second time.
            arguments = ctypes.c_void_p(address), ctypes.c_size_t(array.nbytes)
            flags = ctypes.c_uint(PORTABLE)
            code = self._driver.try_call("cuMemHostRegister_v2", *arguments, flags)
            # A context that broke may have left it locked, which is as good.
            if code != ALREADY_REGISTERED:
                self._driver.check(code, "cuMemHostRegister")
        self._pins[address] += 1

    def unpin(self, array: NDArray[Any]) -> None:
        """Undo one `pin`. Raises nothing: of a broken context the driver may refuse it."""
        address = array.ctypes.data
        self._pins[address] -= 1
        if self._pins[address] <= 0:
            del self._pins[address]
            self._driver.try_call("cuMemHostUnregister", ctypes.c_void_p(address))

    def upload(self, memory: Memory, array: NDArray[Any], stream: Stream) -> None:
        """Copy an array to the GPU, in the order of the stream."""
        self._cuda.memcpy_htod_async(memory, array, stream)

    def download(
        self, array: NDArray[Any], memory: Memory, stream: Stream, offset_bytes: int = 0
    ) -> None:
        """Copy from the GPU into an array, in the order of the stream."""
        self._cuda.memcpy_dtoh_async(array, int(memory) + offset_bytes, stream)

    def _ignore_captures_elsewhere(self) -> None:
        """Once in each thread: let it use the GPU while an engine that loads is captured.

        Where a library captures in the global mode, `cuEventQuery` of any other thread would fail
        and break the capture.
        """
        if not hasattr(self._thread, "mode"):
            self._thread.mode = ctypes.c_int(THREAD_LOCAL)
            self._driver.call("cuThreadExchangeStreamCaptureMode", ctypes.byref(self._thread.mode))
