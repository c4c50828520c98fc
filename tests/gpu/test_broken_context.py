"""The GPU engine after faults that cost the CUDA context, or the process; on the simulated GPU."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.gpu.batches import HALF, SHAPE, make_slots, running

from stripwatch.config.sections import Batch
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.errors import BrokenDeviceError, DeviceError
from stripwatch.testing import fake_line

SetDevice = Callable[[str, int], None]
BROKEN = (700, 702, 716, 719)  # of which CUDA says that the process must end


def fault_of(engine: TensorRtEngine) -> DeviceError:
    """The error that one of the next batches raises."""
    for _ in range(10):
        try:
            engine.submit(0, 2, HALF)
            engine.wait(0)
        except DeviceError as error:
            return error
    raise AssertionError("no fault")


@pytest.fixture
def faults_stay(set_device: SetDevice) -> Iterator[None]:
    """A fault outlives its context, as CUDA says that it may: the process can use no GPU again."""
    set_device("faults_stay", 1)
    yield
    gc.collect()  # what the process could not free
    set_device("faults_stay", 0)


@pytest.mark.parametrize("code", BROKEN)
def test_errors_that_cost_the_process_are_told_apart(
    tiny_engine: Path, break_device: Callable[..., None], code: int
) -> None:
    """Wherever they are seen first: at a copy, at a launch, at a wait."""
    for after in range(1, 5):
        with running(tiny_engine, make_slots(2)) as engine:
            break_device(code, after)
            assert isinstance(fault_of(engine), BrokenDeviceError), after


def test_other_errors_are_not(tiny_engine: Path, break_device: Callable[..., None]) -> None:
    """An error of the memory, for one, of which CUDA says no such thing."""
    with running(tiny_engine, make_slots(2)) as engine:
        break_device(214)  # CUDA_ERROR_ECC_UNCORRECTABLE
        assert type(fault_of(engine)) is DeviceError


@pytest.mark.usefixtures("faults_stay")
def test_closing_and_rebuilding_in_a_broken_process_raise_nothing_else(
    tiny_engine: Path, break_device: Callable[..., None], device_stats: Mapping[str, int]
) -> None:
    """Closing is quiet and still destroys the context; a new engine is refused with the reason."""
    engine = TensorRtEngine(tiny_engine, load_manifest(tiny_engine), make_slots(2))
    pinned = np.zeros_like(make_slots(2)[0])
    break_device()
    fault_of(engine)
    engine.device.unpin(pinned)  # it never was: nothing is raised either
    engine.close()
    assert device_stats["contexts"] == device_stats["streams"] == device_stats["graphs"] == 0
    with pytest.raises(BrokenDeviceError, match="illegal memory access"):
        TensorRtEngine(tiny_engine, load_manifest(tiny_engine), make_slots(2))


@pytest.mark.usefixtures("faults_stay")
def test_a_line_in_a_broken_process_ends_after_one_rebuild(
    tiny_engine: Path, break_device: Callable[..., None]
) -> None:
    """With an error, so that its supervisor starts a new process, and not after 80 seconds."""
    manifest = load_manifest(tiny_engine)
    with fake_line(
        factory=engine_factory(tiny_engine, manifest),
        frame_shape=SHAPE,
        classes=manifest.classes,
        batch=Batch(rows=2, wait_ms=2),
        rebuilds_max=1000,
        rebuild_delay_s_max=30,
    ) as line:
        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        break_device()
        line.camera.send("top", "s", 1)
        line.wait_for_frame("top", "s", 1)
        line.wait(lambda: line.pipeline.failure is not None)
    assert isinstance(line.pipeline.failure, BrokenDeviceError)


def test_pages_that_a_dead_context_left_locked_are_taken_as_locked(
    tiny_engine: Path,
    set_device: SetDevice,
    break_device: Callable[..., None],
    device_stats: Mapping[str, int],
) -> None:
    """CUDA does not say whether the end of a context unlocks portable pages."""
    set_device("pins_stay", 1)
    slots = make_slots(2)
    with running(tiny_engine, slots) as engine:
        break_device()
        fault_of(engine)
    left = device_stats["host_pins"]
    assert left > 0
    with running(tiny_engine, slots) as engine:
        copied = device_stats["pageable_copies"]
        engine.submit(0, 2, HALF)
        engine.wait(0)
        assert device_stats["pageable_copies"] == copied
    assert device_stats["host_pins"] <= left
    set_device("pins_stay", 0)
    assert device_stats["host_pins"] == 0
