"""CUDA through pycuda. Every call to the driver is checked: what fails is a DeviceError.

Only this file and trt.py touch the GPU. pycuda cannot be imported without a driver, so it is
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
    """The GPU has not as much free memory as was asked for."""


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

    Engines that run beside each other share it; the last to `release` it destroys the context,
    and with it whatever a fault has left there. A context is current only inside
    `with device.current():`, so calls may come from any thread, but not from two at a time for
    one engine.
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
        self._pins: Counter[int] = Counter()  # by address: how often it was asked for

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make calls to this GPU.

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
        """One more engine uses it."""
        self._users += 1
        return self

    def release(self) -> None:
        """One engine less uses it; the last destroys the context."""
        self._users -= 1
        if self._users == 0:
            with suppress(DeviceError), _checked(self._cuda):
                self._context.push()
                self._context.detach()  # pops it, too

    def stream(self) -> Stream:
        """A stream: what is queued in it is done in that order."""
        return self._cuda.Stream()

    def event(self, timing: bool = False) -> Event:
        """An event; with `timing` it can be asked when it happened."""
        flags = self._cuda.event_flags
        return self._cuda.Event(flags.BLOCKING_SYNC | (0 if timing else flags.DISABLE_TIMING))

    def allocate(self, size_bytes: int) -> Memory:
        """Memory of the GPU.

        Raises:
            OutOfDeviceMemory: there is not enough left.
        """
        with _checked(self._cuda):
            return self._cuda.mem_alloc(size_bytes)

    def free_bytes(self) -> int:
        """Memory of the GPU that nobody uses."""
        return int(self._cuda.mem_get_info()[0])

    def pin(self, array: NDArray[Any]) -> None:
        """Lock the pages of an array, so that the GPU copies them by itself.

        The array must begin at a page (`stripwatch.engines.base.page_aligned`). Locked twice, it
        stays locked until it is unlocked twice.

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
        """Call the driver itself."""
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
            "install it with: pip install 'stripwatch[cuda]'"
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
    """pycuda raises what the driver answers; here it becomes our own error."""
    try:
        yield
    except cuda.MemoryError as error:
        raise OutOfDeviceMemory(f"CUDA: {error}") from error
    except cuda.Error as error:
        raise DeviceError(f"CUDA: {error}") from error
