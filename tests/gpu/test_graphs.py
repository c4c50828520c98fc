"""CUDA graphs: chosen where they are faster, captured at the warm-up alone, and right."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.gpu.batches import HALF, make_slots, run_randomly, running, single_results, some_frames

from stripwatch.engines.base import IN_FLIGHT
from stripwatch.engines.manifest import load_manifest

GLOBAL = 0  # CU_STREAM_CAPTURE_MODE_GLOBAL
SetDevice = Callable[[str, int], None]


@pytest.mark.parametrize("slow", ["launch_us", "graph_us"])
def test_the_faster_way_is_kept_and_right(
    tiny_engine: Path, device_stats: Mapping[str, int], set_device: SetDevice, slow: str
) -> None:
    """Where launching kernels is slow, every batch runs from a graph; where graphs are, none does.

    After the warm-up nothing is captured and nothing allocated, whatever the size of batches.
    """
    frames = some_frames(3, 20)
    wanted = {HALF.tobytes(): single_results(tiny_engine, frames, HALF)}
    slots = make_slots(5)
    set_device(slow, 20_000)  # far more than a busy machine scatters by
    with capture_logs() as logged, running(tiny_engine, slots) as engine:
        set_device(slow, 0)
        names = ("captures", "graph_launches", "allocations_total", "launches")
        before = {name: device_stats[name] for name in names}
        assert run_randomly(engine, slots, frames, wanted, 60, seed=3) >= 60
        after = {name: device_stats[name] - before[name] for name in names}
    assert after["captures"] == after["allocations_total"] == 0
    assert after["graph_launches"] == (60 if slow == "launch_us" else 0)
    choices = [entry for entry in logged if entry["event"].startswith("batches run ")]
    assert [entry["frames"] for entry in choices] == [1, 2, 4, 5]
    for entry in choices:
        faster = min(("plain_ms", "graph_ms"), key=entry.__getitem__)
        assert faster == ("graph_ms" if slow == "launch_us" else "plain_ms")
        assert ("from" in entry["event"]) is (faster == "graph_ms")


def test_what_cannot_be_captured_runs_without(
    tiny_engine: Path, device_stats: Mapping[str, int], set_device: SetDevice
) -> None:
    """A plan with branches, for example: the log says so, and batches are right."""
    if load_manifest(tiny_engine).target == "tensorrt-rtx":
        pytest.skip("TensorRT-RTX captures by itself")
    frames = some_frames(4, 10)
    set_device("uncapturable", 1)
    wanted = {HALF.tobytes(): single_results(tiny_engine, frames, HALF)}
    slots = make_slots(3)
    with capture_logs() as logged, running(tiny_engine, slots) as engine:
        assert run_randomly(engine, slots, frames, wanted, 20, seed=4) >= 20
        assert device_stats["graphs"] == 0
    reasons = [entry["reason"] for entry in logged if "without CUDA graphs" in entry["event"]]
    assert len(reasons) == 3
    assert all("cannot be captured as a CUDA graph" in reason for reason in reasons)


def test_a_running_engine_and_the_capture_of_another_do_not_disturb_each_other(
    simulation: ctypes.CDLL, tiny_engine: Path
) -> None:
    """Even where another thread captures in the global mode, in which a query would break it."""
    slots = make_slots(2)
    begun, over = threading.Event(), threading.Event()
    codes: list[int] = []
    with running(tiny_engine, slots) as engine:

        def capture() -> None:
            with engine.device.current():
                stream, graph = engine.device.stream(), ctypes.c_void_p()
                handle = ctypes.c_void_p(stream.handle)
                # As a library's own thread, which nobody has told to ignore other captures.
                mode = ctypes.c_int(GLOBAL)
                simulation.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
                codes.append(simulation.cuStreamBeginCapture_v2(handle, GLOBAL))
                begun.set()
                over.wait(20)
                codes.append(simulation.cuStreamEndCapture(handle, ctypes.byref(graph)))
                simulation.cuGraphDestroy(graph)
                del stream  # while its context is current

        thread = threading.Thread(target=capture)
        thread.start()
        assert begun.wait(20)
        for slot in range(IN_FLIGHT):
            engine.submit(slot, 2, HALF)
        for slot in range(IN_FLIGHT):
            while not engine.done(slot):
                pass
            engine.wait(slot)
        over.set()
        thread.join()
    assert codes == [0, 0]


def test_the_legacy_stream_does_not_hold_up_the_lanes(tiny_engine: Path, simulated: bool) -> None:
    """A library may copy weights on it while another engine runs."""
    if not simulated:
        pytest.skip("needs a kernel that waits for the test")
    simulated_driver = importlib.import_module("simulated_driver")

    slots = make_slots(2)
    go = threading.Event()
    with running(tiny_engine, slots) as engine:

        def work() -> None:
            go.wait(20)

        with engine.device.current():
            assert simulated_driver.launch(0, work)
        finished = threading.Event()

        def run() -> None:
            engine.submit(0, 2, HALF)
            engine.wait(0)
            finished.set()

        thread = threading.Thread(target=run)
        thread.start()
        assert finished.wait(10)
        go.set()
        thread.join()
