"""The GPU engine when the device fails, memory is short, or the engine is not for this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stripwatch.config.sections import Batch
from stripwatch.engines.base import page_aligned
from stripwatch.engines.cuda_driver import OutOfDeviceMemory
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.errors import DeviceError, ModelError
from stripwatch.inspect.model import Model
from stripwatch.testing import fake_line
from stripwatch.wire.event import FrameResult, Gap

SHAPE = (32, 80)
HALF = np.full(2, 0.5, np.float32)
# `late_frees`: of TensorRT, when its context was gone or another was current.
LEFT = ("contexts", "streams", "events", "allocations", "host_pins", "late_frees")


def load(folder: Path, **changes: object) -> TensorRtEngine:
    """The engine of a folder, with changes to its manifest."""
    manifest: Manifest = msgspec.structs.replace(load_manifest(folder), **changes)
    return TensorRtEngine(folder, manifest, [page_aligned((4, *SHAPE), np.uint8)])


def run_until_fault(engine: TensorRtEngine) -> str:
    """The error that one of the next batches raises."""
    for _ in range(10):
        try:
            engine.submit(0, 3, HALF)
            engine.wait(0)
        except DeviceError as error:
            return str(error)
    raise AssertionError("no fault")


def test_a_sticky_fault_is_a_device_error_and_a_new_engine_works(
    tiny_engine: Path, break_device: Callable[..., None]
) -> None:
    """The error names CUDA or TensorRT; the new engine has a context of its own."""
    engine = load(tiny_engine)
    break_device()
    assert run_until_fault(engine).startswith(("CUDA: ", "TensorRT: "))
    with pytest.raises(DeviceError):
        engine.submit(0, 3, HALF)
    engine.close()
    again = load(tiny_engine)
    again.submit(0, 3, HALF)
    assert again.wait(0).area.shape == (3, 2)
    again.close()


@pytest.mark.slow
def test_a_hundred_rebuilds_leave_nothing_on_the_device(
    tiny_engine: Path, break_device: Callable[..., None], device_stats: Mapping[str, int]
) -> None:
    """Contexts, streams, events, memory and locked pages are all given back after each fault."""
    for _ in range(100):
        engine = load(tiny_engine)
        break_device()
        run_until_fault(engine)
        engine.close()
        assert [device_stats[name] for name in LEFT] == [0] * len(LEFT)


def test_a_fault_at_the_warm_up_leaves_nothing_either(
    tiny_engine: Path, break_device: Callable[..., None], device_stats: Mapping[str, int]
) -> None:
    """Loading fails with a device error, and the device is as before."""
    break_device()
    with pytest.raises(DeviceError):
        load(tiny_engine)
    assert [device_stats[name] for name in LEFT] == [0] * len(LEFT)


def test_the_line_recovers_after_faults(
    tiny_engine: Path, break_device: Callable[..., None], device_stats: Mapping[str, int]
) -> None:
    """From ZeroMQ to events on a GPU engine: a fault costs a gap, the rest is inspected."""
    manifest = load_manifest(tiny_engine)
    model = Model(manifest.engine_hash, manifest.classes)
    factory = engine_factory(tiny_engine, manifest)
    with fake_line(
        factory=factory,
        frame_shape=SHAPE,
        classes=manifest.classes,
        batch=Batch(rows=4, wait_ms=2),
        rebuild_delay_s_max=0.01,
    ) as line:
        for seq in range(120):
            if seq % 40 == 20:
                break_device()
            line.camera.send("top", "s", seq)
            line.wait_for_frame("top", "s", seq)
        swap = line.pipeline.swap(model, factory)
        assert swap is not None
        line.wait(swap.over.is_set)
        assert swap.error is None
        line.camera.send("top", "s", 120)
        line.wait_for_frame("top", "s", 120)
    gaps = [event for event in line.events if isinstance(event, Gap)]
    assert {event.cause for event in gaps} == {"engine_error"}
    inspected = sum(isinstance(event, FrameResult) for event in line.events)
    assert inspected + sum(event.count for event in gaps) == 121
    assert inspected > 60
    assert [device_stats[name] for name in LEFT] == [0] * len(LEFT)


def test_too_little_memory_says_what_is_needed_and_what_lowers_it(
    tiny_engine: Path, set_device: Callable[[str, int], None]
) -> None:
    """Needed and free in MiB, and the settings."""
    set_device("memory_mib", 1)
    slots = [page_aligned((64, *SHAPE), np.uint8)]
    message = r"needs 2 MiB of .* and [01] MiB are free; .* batch\.rows, .* --batch"
    with pytest.raises(OutOfDeviceMemory, match=message):
        TensorRtEngine(tiny_engine, load_manifest(tiny_engine), slots)


def test_too_little_memory_for_the_weights_is_no_fault_of_the_engine(
    tiny_engine: Path, set_device: Callable[[str, int], None]
) -> None:
    """The library loads nothing then: memory may be free a minute later, so it is no ModelError."""
    set_device("memory_mib", 0)
    with pytest.raises(OutOfDeviceMemory, match=r"needs 1 MiB of .*, and 0 MiB are free"):
        load(tiny_engine)


def test_an_engine_for_another_gpu_is_refused(
    tiny_engine: Path, device_stats: Mapping[str, int]
) -> None:
    """By its manifest, before the driver sees it; nothing stays open."""
    plan = load_manifest(tiny_engine).plan
    assert plan is not None
    other = msgspec.structs.replace(plan, compute_capabilities=("5.2",))
    with pytest.raises(
        ModelError, match=r"compute capability 5\.2, but the GPU here has .*--target"
    ):
        load(tiny_engine, plan=other)
    assert device_stats["contexts"] == 0


def test_a_damaged_plan_is_refused(tiny_engine: Path, tmp_path: Path) -> None:
    """With a hash that was made to match: the reason of the library, and the command."""
    manifest = load_manifest(tiny_engine)
    plan = (tiny_engine / manifest.files[0]).read_bytes()
    (tmp_path / manifest.files[0]).write_bytes(plan[: len(plan) // 2])
    with pytest.raises(ModelError, match=r"TensorRT.* cannot load .*; build it anew with: "):
        TensorRtEngine(tmp_path, manifest, [page_aligned((4, *SHAPE), np.uint8)])


def test_an_engine_of_other_classes_is_refused(tiny_engine: Path) -> None:
    """Its tensors are not those that the manifest describes."""
    classes = load_manifest(tiny_engine).classes[:1]
    with pytest.raises(ModelError, match=r"is not what its manifest describes: it has .*'area'"):
        load(tiny_engine, classes=classes)


def test_a_gpu_that_is_not_there_is_named(tiny_engine: Path) -> None:
    """`engine.device` beyond those that the machine has."""
    slots = [page_aligned((1, *SHAPE), np.uint8)]
    with pytest.raises(DeviceError, match=r"engine\.device is 99, but this machine has \d+"):
        TensorRtEngine(tiny_engine, load_manifest(tiny_engine), slots, ordinal=99)


def test_compiled_kernels_are_kept_beside_the_engine(tiny_engine: Path) -> None:
    """TensorRT-RTX's cache exists after a start; if it cannot be written, the engine runs."""
    manifest = load_manifest(tiny_engine)
    load(tiny_engine).close()
    caches = list(tiny_engine.glob("*.cache"))
    assert len(caches) == (manifest.target == "tensorrt-rtx")
    for cache in caches:
        cache.unlink()
        cache.mkdir()
        load(tiny_engine).close()
        cache.rmdir()
