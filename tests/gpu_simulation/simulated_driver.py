"""The simulated GPU, as the simulated TensorRT uses it: memory, and kernels in streams."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

SUCCESS, ILLEGAL_ADDRESS, LAUNCH_FAILED = 0, 700, 719
THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_tickets = itertools.count(1)
# Whoever launches a kernel must live until it has run, as an execution context must.
_launched: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
# Whoever launches one into a capture, as long as the graph is launched.
_captured: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


@cache
def driver() -> ctypes.CDLL:
    """The library that pycuda is linked to."""
    import pycuda.driver  # noqa: F401 - loads it

    library = ctypes.CDLL("libcuda.so.1")
    if not hasattr(library, "sim_launch"):
        raise RuntimeError("the simulated TensorRT needs the simulated GPU (--simulated-gpu)")
    library.sim_launch.argtypes = (ctypes.c_void_p, Kernel, ctypes.c_void_p)
    library.sim_check.argtypes = (ctypes.c_uint64, ctypes.c_size_t)
    library.cuMemAlloc_v2.argtypes = (ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t)
    library.sim_free.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
    return library


def has_gpu() -> bool:
    """Whether the driver finds a device."""
    return int(driver().cuInit(0)) == SUCCESS


def allocate(owner: object, size_bytes: int) -> int | None:
    """Memory of the current context, freed when its owner is; None: there is not enough."""
    address, context = ctypes.c_uint64(), ctypes.c_void_p()
    if driver().cuMemAlloc_v2(ctypes.byref(address), size_bytes) != SUCCESS:
        return None
    driver().cuCtxGetCurrent(ctypes.byref(context))
    weakref.finalize(owner, driver().sim_free, context, address).atexit = False
    return address.value


def is_capturing(stream: int) -> bool:
    """Whether what the stream is given is recorded, and not run."""
    status = ctypes.c_int()
    driver().cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(status))
    return status.value != 0


def launch(stream: int, work: Callable[[], None]) -> bool:
    """Call `work` when the stream comes to it; its owner must keep it alive until then."""
    ticket = next(_tickets)
    (_captured if is_capturing(stream) else _launched)[ticket] = work
    return int(driver().sim_launch(stream, _run, ticket)) == SUCCESS


def wait_for(stream: int) -> bool:
    """Wait for all work of a stream, which no stream that captures allows."""
    return int(driver().cuStreamSynchronize(ctypes.c_void_p(stream))) == SUCCESS


class Graph:
    """What a library captures by itself; freed with its owner."""

    def __init__(self, owner: object, stream: int, enqueue: Callable[[], bool]) -> None:
        handle, graph = ctypes.c_void_p(stream), ctypes.c_void_p()
        self._executable = ctypes.c_void_p()
        driver().cuStreamBeginCapture_v2(handle, THREAD_LOCAL)
        enqueue()
        driver().cuStreamEndCapture(handle, ctypes.byref(graph))
        driver().cuGraphInstantiateWithFlags(
            ctypes.byref(self._executable), graph, ctypes.c_ulonglong(0)
        )
        driver().cuGraphDestroy(graph)
        weakref.finalize(owner, driver().cuGraphExecDestroy, self._executable).atexit = False

    def launch(self, stream: int) -> bool:
        """Run it, in the order of the stream."""
        return int(driver().cuGraphLaunch(self._executable, ctypes.c_void_p(stream))) == SUCCESS


def compute_capability() -> tuple[int, int]:
    """Of the GPU whose context is current; (0, 0) without one."""
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver().cuCtxGetDevice(ctypes.byref(device)) == SUCCESS:
        driver().cuDeviceComputeCapability(ctypes.byref(major), ctypes.byref(minor), device)
    return major.value, minor.value


@Kernel  # type: ignore[untyped-decorator] # of ctypes
def _run(ticket: int) -> None:
    work = _launched.pop(ticket, None) or _captured.get(ticket)
    if work is None:  # gone: undefined behaviour of the real library
        fault(LAUNCH_FAILED)
        return
    try:
        work()
    except Exception as error:  # noqa: BLE001 - nothing may pass the C code that called us
        print(f"simulated TensorRT: {error}")
        fault(LAUNCH_FAILED)


def fault(error: int) -> None:
    """For kernels: break the context."""
    driver().sim_fault(error)


def pause() -> None:
    """For kernels: take the time that the simulated GPU is set to take."""
    driver().sim_pause()


def is_device_memory(address: int, size_bytes: int) -> bool:
    """For kernels: whether all of it belongs to the context."""
    return bool(driver().sim_check(address, size_bytes))


def read(address: int, size_bytes: int) -> bytes:
    """For kernels: device memory, copied.

    Raises:
        MemoryError: not all of it belongs to the context.
    """
    if not is_device_memory(address, size_bytes):
        raise MemoryError(f"a kernel reads outside of device memory, at {address:#x}")
    return ctypes.string_at(address, size_bytes)


def write(address: int, content: bytes) -> None:
    """For kernels: overwrite device memory.

    Raises:
        MemoryError: not all of it belongs to the context.
    """
    if not is_device_memory(address, len(content)):
        raise MemoryError(f"a kernel writes outside of device memory, at {address:#x}")
    ctypes.memmove(address, content, len(content))
