"""CUDA through pycuda. Every call to the driver is checked: a failed call is a DeviceError.

Only this file and the trt files use the GPU. pycuda cannot be imported without a driver, so it is
imported when a device is opened.
"""

from __future__ import annotations

import ctypes
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from numpy.typing import NDArray

from stripwatch.errors import DeviceError, ModelError

PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: locked for every context of the process

Stream = Any  # pycuda.driver.Stream; pycuda carries no types
Event = Any  # pycuda.driver.Event
Memory = Any  # pycuda.driver.DeviceAllocation; int() of it is the address


class OutOfDeviceMemory(DeviceError):
    """The GPU has less free memory than requested."""


def compute_capability(ordinal: int = 0) -> str:
    """The compute capability of a GPU, for example "8.9".

    Raises:
        ModelError: pycuda is not installed.
        DeviceError: there is no such GPU, or no driver.
    """
    cuda = _driver()
    with _checked(cuda):
        major, minor = _find(cuda, ordinal).compute_capability()
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
        self._cuda = _driver()
        with _checked(self._cuda):
            gpu = _find(self._cuda, ordinal)
            self.name: str = gpu.name()
            self.capability = ".".join(map(str, gpu.compute_capability()))
            # A thread that waits for the GPU sleeps: the cores belong to inspection.
            self._context = gpu.make_context(self._cuda.ctx_flags.SCHED_BLOCKING_SYNC)
            self._context.pop()
        self._users = 1
        self._library = ctypes.CDLL("libcuda.so.1")  # that pycuda has loaded
        self._pins: Counter[int] = Counter()  # by address: how often it is pinned

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current: calls go to this GPU.

        Raises:
            DeviceError: a call failed.
        """
        with _checked(self._cuda):
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    def retain(self) -> Device:
        """Count one more engine that uses the device."""
        self._users += 1
        return self

    def release(self) -> None:
        """Count one engine less; the last destroys the context."""
        self._users -= 1
        if self._users == 0:
            with suppress(DeviceError), _checked(self._cuda):
                self._context.push()
                self._context.detach()  # pops it, too

    def stream(self) -> Stream:
        """A new stream: its operations run in the order in which they are queued."""
        return self._cuda.Stream()

    def event(self, timing: bool = False) -> Event:
        """A new event; with `timing` it records when it happens."""
        flags = self._cuda.event_flags
        return self._cuda.Event(flags.BLOCKING_SYNC | (0 if timing else flags.DISABLE_TIMING))

    def allocate(self, size_bytes: int) -> Memory:
        """Memory of the GPU, uninitialized.

        Raises:
            OutOfDeviceMemory: there is not enough left.
        """
        with _checked(self._cuda):
            return self._cuda.mem_alloc(size_bytes)

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
            size_bytes, flags = ctypes.c_size_t(array.nbytes), ctypes.c_uint(PORTABLE)
            self._call("cuMemHostRegister_v2", ctypes.c_void_p(address), size_bytes, flags)
        self._pins[address] += 1

    def unpin(self, array: NDArray[Any]) -> None:
        """Undo one `pin`.

        Raises:
            DeviceError: the pages cannot be unlocked.
        """
        address = array.ctypes.data
        self._pins[address] -= 1
        if not self._pins[address]:
            del self._pins[address]
            self._call("cuMemHostUnregister", ctypes.c_void_p(address))

    def upload(self, memory: Memory, array: NDArray[Any], stream: Stream) -> None:
        """Copy an array to the GPU, in the order of the stream."""
        self._cuda.memcpy_htod_async(memory, array, stream)

    def download(
        self, array: NDArray[Any], memory: Memory, stream: Stream, offset_bytes: int = 0
    ) -> None:
        """Copy from the GPU into an array, in the order of the stream."""
        self._cuda.memcpy_dtoh_async(array, int(memory) + offset_bytes, stream)

    def _call(self, function: str, *arguments: object) -> None:
        """Call a function of the driver that pycuda does not offer, or not safely."""
        code = getattr(self._library, function)(*arguments)
        if code:
            raise DeviceError(f"CUDA: {function} failed with error {code}")


def clear_traceback_locals(error: BaseException | None) -> None:
    """Clear the local variables that an error's tracebacks keep alive."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _driver() -> Any:  # noqa: ANN401 - pycuda carries no types
    try:
        import pycuda.driver as cuda
    except ModuleNotFoundError as error:
        raise ModelError(
            f"this engine runs on a GPU and needs {error.name}, which is not installed here; "
            "install it in the folder of stripwatch with: pip install '.[cuda]'"
        ) from None
    except ImportError as error:  # the driver's library is missing
        raise DeviceError(f"no CUDA device can be used here: {error}") from error
    return cuda


def _find(cuda: Any, ordinal: int) -> Any:  # noqa: ANN401
    cuda.init()
    count = cuda.Device.count()
    if ordinal >= count:
        raise DeviceError(
            f"engine.device is {ordinal}, but this machine has {count} CUDA devices, numbered "
            "from 0"
        )
    return cuda.Device(ordinal)


@contextmanager
def _checked(cuda: Any) -> Iterator[None]:  # noqa: ANN401
    """Turn the errors that pycuda raises into our own."""
    try:
        yield
    except cuda.MemoryError as error:
        raise OutOfDeviceMemory(f"CUDA: {error}") from error
    except cuda.Error as error:
        raise DeviceError(f"CUDA: {error}") from error
