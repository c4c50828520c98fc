"""pycuda on the simulated GPU: what the simulation must find out about our engine."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MIB = 1 << 20
GARBAGE = 0xAB  # in fresh memory
SetDevice = Callable[[str, int], None]
Stats = Mapping[str, int]
pytestmark = pytest.mark.gpu


@pytest.fixture
def cuda(simulation: ctypes.CDLL) -> Any:
    """The module pycuda.driver, initialised."""
    assert simulation is not None
    import pycuda.driver

    pycuda.driver.init()
    return pycuda.driver


@pytest.fixture
def context(cuda: Any) -> Iterator[Any]:
    """A context, current in this thread."""
    context = cuda.Device(0).make_context()
    yield context
    context.detach()


class Whole(np.ndarray[Any, Any]):
    """What pycuda.driver.register_host_memory can register without crashing.

    It makes a second array of what it is given, and fails to make the registration that array's
    base, because it has one: the array that was given. An array that says to be a lone number is
    copied instead, and the copy has none.
    """

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"shape": (), "typestr": "|u1", "version": 3}

    def __int__(self) -> int:
        return 0


def test_the_device_describes_itself(cuda: Any, set_device: SetDevice) -> None:
    """Count, capability and memory are what the test has set."""
    set_device("devices", 2)
    set_device("capability", 120)
    set_device("memory_mib", 64)
    assert cuda.Device.count() == 2
    assert cuda.Device(1).compute_capability() == (12, 0)
    assert cuda.Device(1).total_memory() == 64 * MIB
    assert cuda.Device(0).pci_bus_id() != cuda.Device(1).pci_bus_id()
    set_device("devices", 0)
    with pytest.raises(cuda.RuntimeError, match="no CUDA-capable device"):
        cuda.init()


@pytest.mark.usefixtures("context")
def test_bytes_come_back_as_they_were_sent(cuda: Any) -> None:
    """A copy up and down changes nothing, and fresh memory is garbage."""
    sent = np.arange(1000, dtype=np.float32)
    back = np.empty_like(sent)
    memory = cuda.mem_alloc(sent.nbytes)
    cuda.memcpy_dtoh(back, memory)
    assert set(back.tobytes()) == {GARBAGE}
    cuda.memcpy_htod(memory, sent)
    cuda.memcpy_dtoh(back, memory)
    np.testing.assert_array_equal(back, sent)
    cuda.memset_d32(memory, 7, sent.size)
    cuda.memcpy_dtoh(back, memory)
    assert (back.view(np.uint32) == 7).all()


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("waits", [False, True])
def test_streams_run_side_by_side_unless_one_waits(
    cuda: Any, set_device: SetDevice, waits: bool
) -> None:
    """Another stream sees what was copied only if it waits for the event behind the copy."""
    set_device("copy_us_per_mib", 300_000)
    sent, back = (cuda.pagelocked_empty(MIB, np.uint8) for _ in range(2))
    sent[:], back[:] = 5, 0
    memory = cuda.mem_alloc(MIB)
    first, second, event = cuda.Stream(), cuda.Stream(), cuda.Event()
    cuda.memcpy_htod_async(memory, sent, first)
    event.record(first)
    if waits:
        second.wait_for_event(event)
    cuda.memcpy_dtoh_async(back, memory, second)
    assert not event.query()
    second.synchronize()
    first.synchronize()
    assert back[0] == (5 if waits else GARBAGE)  # the end has often come meanwhile


@pytest.mark.usefixtures("context")
def test_what_is_read_before_it_has_come_is_wrong(cuda: Any, set_device: SetDevice) -> None:
    """An array that is read without waiting for its copy still holds what it held before."""
    set_device("copy_us_per_mib", 300_000)
    back = cuda.pagelocked_empty(MIB, np.uint8)
    back[:] = 0
    memory, stream = cuda.mem_alloc(MIB), cuda.Stream()
    cuda.memset_d8(memory, 9, MIB)
    cuda.Context.synchronize()
    cuda.memcpy_dtoh_async(back, memory, stream)
    assert not back.any()
    assert not stream.is_done()
    stream.synchronize()
    assert (back == 9).all()


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("same_direction", [False, True])
def test_copies_of_one_direction_take_turns(
    cuda: Any, set_device: SetDevice, same_direction: bool
) -> None:
    """A short copy waits for a long one of its direction, and passes one of the other."""
    set_device("copy_us_per_mib", 400_000)
    long, short = cuda.pagelocked_empty(MIB, np.uint8), cuda.pagelocked_empty(1, np.uint8)
    memory, other_memory = cuda.mem_alloc(MIB), cuda.mem_alloc(1)
    first, second, begun = cuda.Stream(), cuda.Stream(), cuda.Event()
    begun.record(first)
    cuda.memcpy_htod_async(memory, long, first)
    begun.synchronize()
    if same_direction:
        cuda.memcpy_htod_async(other_memory, short, second)
    else:
        cuda.memcpy_dtoh_async(short, other_memory, second)
    second.synchronize()
    assert first.is_done() is same_direction
    first.synchronize()


@pytest.mark.usefixtures("context")
def test_a_copy_from_ordinary_memory_waits_and_is_counted(
    cuda: Any, device_stats: Stats, set_device: SetDevice
) -> None:
    """CUDA stages what is not page-locked: an asynchronous copy of it is none."""
    set_device("copy_us_per_mib", 300_000)
    before = device_stats["pageable_copies"]
    memory, stream = cuda.mem_alloc(MIB), cuda.Stream()
    cuda.memcpy_htod_async(memory, np.zeros(MIB, np.uint8), stream)
    assert stream.is_done()
    assert device_stats["pageable_copies"] == before + 1


def test_a_fault_stays_until_the_context_is_gone(
    cuda: Any, break_device: Callable[..., None], device_stats: Stats
) -> None:
    """After a fault every call fails with it; nothing is left of the context, and a new one works.

    The fault is seen where the work is waited for, not where it was given.
    """
    context = cuda.Device(0).make_context()
    memory, stream, event = cuda.mem_alloc(64), cuda.Stream(), cuda.Event()
    host = cuda.pagelocked_empty(64, np.uint8)
    break_device(719, after=2)
    cuda.memcpy_htod_async(memory, host, stream)
    stream.synchronize()
    cuda.memcpy_htod_async(memory, host, stream)
    for call in (
        stream.synchronize,
        stream.is_done,
        event.query,
        event.synchronize,
        lambda: event.record(stream),
        lambda: cuda.mem_alloc(1),
        lambda: cuda.memcpy_htod_async(memory, host, stream),
        lambda: cuda.pagelocked_empty(1, np.uint8),
        cuda.mem_get_info,
        cuda.Context.synchronize,
    ):
        with pytest.raises(cuda.Error, match="unspecified launch failure"):
            call()
    context.detach()
    memory.free()  # of a context that is gone: nothing happens
    names = ("contexts", "streams", "events", "allocations", "host_pins")
    assert {name: device_stats[name] for name in names} == dict.fromkeys(names, 0)
    context = cuda.Device(0).make_context()
    cuda.memcpy_htod(cuda.mem_alloc(64), bytes(64))
    context.detach()


def test_a_copy_beyond_a_block_breaks_the_context(cuda: Any) -> None:
    """One byte more than was allocated is an illegal address."""
    context = cuda.Device(0).make_context()
    with pytest.raises(cuda.LogicError, match="illegal memory access"):
        cuda.memcpy_htod(cuda.mem_alloc(63), bytes(64))
    context.detach()


@pytest.mark.usefixtures("context")
def test_memory_has_an_end(cuda: Any, device_stats: Stats, set_device: SetDevice) -> None:
    """More than there is raises MemoryError, leaves nothing behind, and breaks nothing."""
    set_device("memory_mib", 8)
    memory = cuda.mem_alloc(6 * MIB)
    with pytest.raises(cuda.MemoryError, match="out of memory"):
        cuda.mem_alloc(3 * MIB)
    assert cuda.mem_get_info() == (2 * MIB, 8 * MIB)
    memory.free()
    assert cuda.mem_get_info() == (8 * MIB, 8 * MIB)
    assert device_stats["allocations"] == device_stats["allocated_bytes"] == 0


def test_a_context_can_be_current_in_another_thread(cuda: Any) -> None:
    """A thread without a context can do nothing; with the first thread's, everything."""
    context = cuda.Device(0).make_context()
    found: list[Any] = []

    def work() -> None:
        try:
            cuda.mem_alloc(1)
        except cuda.LogicError as error:
            found.append(str(error))
        context.push()
        memory, back = cuda.mem_alloc(4), np.zeros(4, np.uint8)
        cuda.memcpy_dtoh(back, memory)
        found.append(set(back.tolist()))
        memory.free()
        context.pop()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    context.detach()
    assert "invalid device context" in found[0]
    assert found[1:] == [{GARBAGE}]


@pytest.mark.usefixtures("context")
def test_memory_of_our_own_can_be_page_locked(cuda: Any, device_stats: Stats) -> None:
    """Registered through pycuda it is copied without staging, until it is unregistered."""
    array = np.frombuffer(mmap.mmap(-1, MIB), np.uint8)
    number = cuda.register_host_memory(array.view(Whole))
    assert device_stats["host_pins"] == 1
    with pytest.raises(cuda.LogicError, match="already mapped"):
        cuda.register_host_memory(array[100:200].view(Whole))
    pageable = device_stats["pageable_copies"]
    memory, stream = cuda.mem_alloc(MIB), cuda.Stream()
    cuda.memcpy_htod_async(memory, array[100:], stream)
    stream.synchronize()
    assert device_stats["pageable_copies"] == pageable
    number.base.unregister()
    assert device_stats["host_pins"] == 0
    del number
    cuda.register_host_memory(array.view(Whole))  # not kept: unregistered at once
    assert device_stats["host_pins"] == 0


@pytest.mark.usefixtures("simulation")
def test_pycuda_crashes_where_it_registers_an_array_as_it_is() -> None:
    """It lets go twice of a registration that NumPy 2 does not take; so ours goes another way."""
    script = """if True:
        import mmap
        import numpy as np
        import pycuda.driver as cuda
        cuda.init()
        context = cuda.Device(0).make_context()
        cuda.register_host_memory(np.frombuffer(mmap.mmap(-1, 4096), np.uint8))
        """
    path = [entry for entry in sys.path if "gpu-simulation" in entry]
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": ":".join(path)}, check=False
    )
    assert done.returncode < 0


def test_memory_unregistered_under_a_copy_breaks_the_context(
    cuda: Any, set_device: SetDevice
) -> None:
    """Who lets go of page-locked memory must have waited for its copies."""
    set_device("copy_us_per_mib", 300_000)
    context = cuda.Device(0).make_context()
    array = np.frombuffer(mmap.mmap(-1, MIB), np.uint8)
    number = cuda.register_host_memory(array.view(Whole))
    memory, stream = cuda.mem_alloc(MIB), cuda.Stream()
    cuda.memcpy_htod_async(memory, array, stream)
    number.base.unregister()
    with pytest.raises(cuda.LogicError, match="illegal memory access"):
        stream.synchronize()
    context.detach()


@pytest.mark.usefixtures("cuda")
def test_another_process_finds_the_same_gpu(gpu_environment: dict[str, str]) -> None:
    """With the environment of the fixture it imports pycuda and both libraries."""
    script = (
        "import pycuda.driver as cuda, tensorrt, tensorrt_rtx\n"
        "cuda.init(); print(cuda.Device(0).name(), tensorrt.__version__, tensorrt_rtx.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=gpu_environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path("/"),
    )
    assert done.stdout.split() == ["Simulated", "GPU", "11.4.0.106", "1.7.1.116"]
