"""CUDA graphs of the simulated driver: recorded, replayed, and broken as a real driver does."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2
UNSUPPORTED, INVALIDATED, ISOLATION, IMPLICIT, CAPTURED_EVENT, WRONG_THREAD = (
    900,
    901,
    905,
    906,
    907,
    908,
)
NON_BLOCKING = 1
SIZE = 64
pytestmark = pytest.mark.gpu


class Capture:
    """A stream, and the calls that capture it."""

    def __init__(self, library: ctypes.CDLL, cuda: Any, flags: int = NON_BLOCKING) -> None:
        self.library, self.cuda, self.stream = library, cuda, cuda.Stream(flags)
        self.handle = ctypes.c_void_p(self.stream.handle)
        self.memory = cuda.mem_alloc(SIZE)
        self.host = cuda.pagelocked_empty(SIZE, np.uint8)

    def begin(self, mode: int = THREAD_LOCAL) -> int:
        return int(self.library.cuStreamBeginCapture_v2(self.handle, mode))

    def end(self) -> tuple[int, ctypes.c_void_p]:
        graph = ctypes.c_void_p()
        return int(self.library.cuStreamEndCapture(self.handle, ctypes.byref(graph))), graph

    def instantiate(self, graph: ctypes.c_void_p) -> ctypes.c_void_p:
        executable = ctypes.c_void_p()
        make = self.library.cuGraphInstantiateWithFlags
        assert make(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)) == 0
        return executable

    def fill(self, value: int) -> None:
        self.library.cuMemsetD8Async(
            ctypes.c_void_p(int(self.memory)), value, ctypes.c_size_t(SIZE), self.handle
        )

    def read(self) -> set[int]:
        self.cuda.memcpy_dtoh_async(self.host, self.memory, self.stream)
        self.stream.synchronize()
        return set(self.host.tolist())


def make_event(library: ctypes.CDLL) -> ctypes.c_void_p:
    """An event by its handle, which pycuda's do not tell."""
    event = ctypes.c_void_p()
    assert library.cuEventCreate(ctypes.byref(event), 0) == 0
    return event


@pytest.fixture
def cuda(simulation: ctypes.CDLL) -> Iterator[Any]:
    """pycuda.driver with a context that is current."""
    assert simulation is not None
    import pycuda.driver

    pycuda.driver.init()
    context = pycuda.driver.Device(0).make_context()
    yield pycuda.driver
    mode = ctypes.c_int(GLOBAL)
    simulation.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
    context.detach()


@pytest.fixture
def capture(simulation: ctypes.CDLL, cuda: Any) -> Iterator[Capture]:
    """On a non-blocking stream."""
    capture = Capture(simulation, cuda)
    yield capture
    vars(capture).clear()


def test_what_is_captured_runs_when_it_is_launched(
    simulation: ctypes.CDLL, capture: Capture, device_stats: Mapping[str, int]
) -> None:
    """Nothing of it runs before; then all of it in order, as often as it is launched."""
    capture.fill(1)
    assert capture.begin() == 0
    capture.fill(2)
    capture.fill(3)
    code, graph = capture.end()
    assert code == 0
    assert capture.read() == {1}
    executable = capture.instantiate(graph)
    assert device_stats["graphs"] == 2
    simulation.cuGraphDestroy(graph)
    for _ in range(2):
        capture.fill(9)
        assert simulation.cuGraphLaunch(executable, capture.handle) == 0
        assert capture.read() == {3}
    simulation.cuGraphExecDestroy(executable)
    assert simulation.cuGraphLaunch(executable, capture.handle) == 400
    assert device_stats["graphs"] == 0


def test_a_graph_keeps_the_addresses_it_was_given(
    simulation: ctypes.CDLL, cuda: Any, capture: Capture
) -> None:
    """Memory that is freed meanwhile is an illegal address, as a kernel's would be."""
    assert capture.begin() == 0
    capture.fill(2)
    executable = capture.instantiate(capture.end()[1])
    capture.memory.free()
    assert simulation.cuGraphLaunch(executable, capture.handle) == 0
    with pytest.raises(cuda.LogicError, match="illegal memory access"):
        capture.stream.synchronize()


@pytest.mark.parametrize("wrong", ["query", "synchronize", "wait", "pageable copy"])
def test_what_a_capture_forbids_breaks_it(cuda: Any, capture: Capture, wrong: str) -> None:
    """The call fails, the capture ends with an error and no graph, and the stream works again."""
    event, other = cuda.Event(), cuda.Stream(NON_BLOCKING)
    capture.cuda.memset_d8(capture.memory, 1, SIZE)
    other.synchronize()
    assert capture.begin() == 0
    calls: dict[str, Callable[[], object]] = {
        "query": capture.stream.is_done,
        "synchronize": capture.stream.synchronize,
        "wait": lambda: capture.stream.wait_for_event(event),
        "pageable copy": lambda: cuda.memcpy_htod_async(
            capture.memory, np.zeros(SIZE, np.uint8), capture.stream
        ),
    }
    with pytest.raises(cuda.LogicError) if wrong != "pageable copy" else pytest.raises(cuda.Error):
        calls[wrong]()
    code, graph = capture.end()
    assert (code, graph.value) == (INVALIDATED, None)
    capture.fill(5)
    assert capture.read() == {5}


@pytest.mark.parametrize(
    ("capturing", "asking", "broken"),
    [
        (GLOBAL, GLOBAL, True),
        (GLOBAL, THREAD_LOCAL, False),
        (GLOBAL, RELAXED, False),
        (THREAD_LOCAL, GLOBAL, False),
        (RELAXED, GLOBAL, False),
    ],
)
def test_a_query_of_another_thread_breaks_a_global_capture(
    simulation: ctypes.CDLL, capture: Capture, capturing: int, asking: int, broken: bool
) -> None:
    """Unless that thread has said to ignore the captures of others."""
    codes: list[int] = []
    event = make_event(simulation)

    def other() -> None:
        mode = ctypes.c_int(asking)
        simulation.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
        simulation.cuCtxPushCurrent_v2(context)
        codes.append(simulation.cuEventQuery(event))
        simulation.cuCtxPopCurrent_v2(None)

    context = ctypes.c_void_p()
    simulation.cuCtxGetCurrent(ctypes.byref(context))
    assert capture.begin(capturing) == 0
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert codes == [UNSUPPORTED if broken else 0]
    assert capture.end()[0] == (INVALIDATED if broken else 0)


def test_the_thread_that_captures_may_not_allocate(cuda: Any, capture: Capture) -> None:
    """In the thread-local mode, too; in the relaxed one it may."""
    assert capture.begin(THREAD_LOCAL) == 0
    with pytest.raises(cuda.LogicError, match="stream is capturing"):
        cuda.mem_alloc(1)
    assert capture.end()[0] == INVALIDATED
    assert capture.begin(RELAXED) == 0
    cuda.mem_alloc(1)
    assert capture.end()[0] == 0


@pytest.mark.parametrize("flags", [0, NON_BLOCKING])
def test_the_legacy_stream_breaks_captures_of_blocking_streams(
    simulation: ctypes.CDLL, cuda: Any, flags: int
) -> None:
    """The reason why the engine's streams do not block."""
    capture = Capture(simulation, cuda, flags)
    assert capture.begin(THREAD_LOCAL) == 0
    code = simulation.cuMemsetD8_v2(ctypes.c_void_p(int(capture.memory)), 1, ctypes.c_size_t(SIZE))
    assert code == (0 if flags else IMPLICIT)
    assert capture.end()[0] == (0 if flags else INVALIDATED)


def test_events_and_threads_of_a_capture(
    simulation: ctypes.CDLL, cuda: Any, capture: Capture
) -> None:
    """An event recorded in it cannot be asked; one from outside is no dependency of it."""
    event = make_event(simulation)
    assert capture.begin() == 0
    assert simulation.cuEventRecord(event, capture.handle) == 0
    assert simulation.cuStreamWaitEvent(capture.handle, event, 0) == 0
    assert simulation.cuEventQuery(event) == CAPTURED_EVENT
    codes: list[int] = []
    context = ctypes.c_void_p()
    simulation.cuCtxGetCurrent(ctypes.byref(context))

    def other() -> None:
        simulation.cuCtxPushCurrent_v2(context)
        codes.append(capture.end()[0])
        simulation.cuCtxPopCurrent_v2(None)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert codes == [WRONG_THREAD]
    assert capture.end()[0] == INVALIDATED
    other_stream = cuda.Stream(NON_BLOCKING)
    assert simulation.cuEventRecord(event, ctypes.c_void_p(other_stream.handle)) == 0
    assert capture.begin() == 0
    assert simulation.cuStreamWaitEvent(capture.handle, event, 0) == ISOLATION
    assert capture.end()[0] == INVALIDATED


def test_graphs_go_with_their_context(
    simulation: ctypes.CDLL, device_stats: Mapping[str, int]
) -> None:
    """Captured or being captured."""
    import pycuda.driver as cuda

    cuda.init()
    context = cuda.Device(0).make_context()
    capture = Capture(simulation, cuda)
    assert capture.begin() == 0
    capture.instantiate(capture.end()[1])
    assert capture.begin() == 0
    assert device_stats["graphs"] == 3
    vars(capture).clear()
    context.detach()
    assert device_stats["graphs"] == 0
