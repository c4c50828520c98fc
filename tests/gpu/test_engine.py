"""The GPU engine: right results, two streams, no allocation and no unnecessary copy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.gpu.batches import (
    HALF,
    SHAPE,
    STRICT,
    make_slots,
    run_randomly,
    running,
    single_results,
    some_frames,
)

from stripwatch.engines.base import IN_FLIGHT, page_aligned
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.engines.trt_plan import batch_sizes
from stripwatch.synthetic import SyntheticStrip
from stripwatch_engine.verify.agreement import compare, run_engine
from stripwatch_engine.verify.limits import faults

EDGE_SHAPE = (256, 1600)
EDGE = Path(__file__).resolve().parents[2] / "models" / "edge" / "model.onnx"


@pytest.mark.slow
def test_random_batches_give_the_results_of_single_frames(tiny_engine: Path) -> None:
    """10,000 batches of random size, two in flight: each frame as if it were alone."""
    seed = 5
    print("seed", seed)
    frames = some_frames(seed, 40)
    wanted = {
        limits.tobytes(): single_results(tiny_engine, frames, limits) for limits in (HALF, STRICT)
    }
    assert len({len(result) for result in wanted[HALF.tobytes()]}) == 2  # with planes, without
    slots = make_slots(5)
    with running(tiny_engine, slots) as engine:
        right = run_randomly(engine, slots, frames, wanted, 10_000, seed)
    assert right > 10_000


def test_nothing_is_allocated_after_the_warm_up(
    tiny_engine: Path, device_stats: Mapping[str, int]
) -> None:
    """Batches of every size take no memory, and no copy goes through memory that is not locked."""
    frames = some_frames(6, 20)
    wanted = {HALF.tobytes(): single_results(tiny_engine, frames, HALF)}
    slots = make_slots(7)
    with running(tiny_engine, slots) as engine:
        before = device_stats["allocations_total"], device_stats["pageable_copies"]
        run_randomly(engine, slots, frames, wanted, 200, seed=6)
        assert (device_stats["allocations_total"], device_stats["pageable_copies"]) == before
        assert device_stats["streams"] == IN_FLIGHT


def test_everything_is_freed(tiny_engine: Path, device_stats: Mapping[str, int]) -> None:
    """After `close` the device is as before; a second `close` does nothing."""
    with running(tiny_engine, make_slots(4)) as engine:
        assert device_stats["contexts"] == 1
        engine.close()
    left = ("contexts", "streams", "events", "allocations", "host_pins", "graphs")
    assert [device_stats[name] for name in left] == [0] * len(left)


def test_planes_come_down_only_for_frames_with_defects(
    tiny_engine: Path, device_stats: Mapping[str, int]
) -> None:
    """Two copies for the sums of a batch, and two more for each frame in which something is."""
    slots = make_slots(4)
    slots[0][:] = 0
    slots[0][2] = some_frames(2, 8).max(axis=0)
    with running(tiny_engine, slots) as engine:
        before = device_stats["copies_dtoh"]
        engine.submit(0, 4, HALF)
        found = np.flatnonzero(engine.wait(0).area.any(axis=1)).tolist()
        assert 2 in found
        assert len(found) < 4
        assert device_stats["copies_dtoh"] - before == 2 + 2 * len(found)


@pytest.mark.slow
def test_a_batch_is_copied_while_another_is_computed(
    request: pytest.FixtureRequest, simulated: bool, edge_engine: Path, tiny_engine: Path
) -> None:
    """By the clock of the GPU: uploads run during the computation of the batch before.

    A card may be through with computing before an upload ends, so they need only overlap.
    """
    folder, shape = (tiny_engine, SHAPE) if simulated else (edge_engine, EDGE_SHAPE)
    if simulated:
        set_device = request.getfixturevalue("set_device")
        set_device("copy_us_per_mib", 100_000)  # 1 ms for the frames
        set_device("kernel_us", 100_000)  # a busy machine submits late
    slots = [page_aligned((4, *shape), np.uint8) for _ in range(4)]
    manifest = load_manifest(folder)
    thresholds = np.full(len(manifest.classes), 0.5, np.float32)
    engine = TensorRtEngine(folder, manifest, slots, timed=True)
    spans = []
    for batch in range(12):
        engine.submit(batch % 4, 4, thresholds)
        if batch:
            engine.wait((batch - 1) % 4)
            spans.append(engine.spans_ms((batch - 1) % 4))
    engine.close()
    print(spans)
    pairs = list(itertools.pairwise(spans))
    assert all(one["compute"][1] <= after["compute"][0] for one, after in pairs), "both at once"
    beside = [
        one["compute"][0] < after["upload"][1] and after["upload"][0] < one["compute"][1]
        for one, after in pairs
    ]
    assert sum(beside) >= len(pairs) // 2


def test_a_batch_is_done_when_its_sums_are_there(tiny_engine: Path) -> None:
    """`done` becomes true without `wait`, and `wait` then gives the result."""
    slots = make_slots(2)
    with running(tiny_engine, slots) as engine:
        engine.submit(0, 2, HALF)
        while not engine.done(0):
            pass
        assert engine.wait(0).area.shape == (2, 2)


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_sizes_are_few_and_hold_every_batch(rows: int) -> None:
    """Powers of two, the largest, nothing below what the engine takes."""
    sizes = batch_sizes(1, rows)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == rows
    assert all(min(size for size in sizes if size >= n) < 2 * n for n in range(1, rows + 1))
    assert batch_sizes(4, 2) == [4]


@pytest.fixture(scope="module")
def edge_engine(build_gpu_engine: Callable[..., Path]) -> Path:
    """The folder of a float16 engine of the embedded model."""
    return build_gpu_engine(EDGE, EDGE_SHAPE, "fp16", 4)


def test_a_build_verifies_the_engine_itself(edge_engine: Path) -> None:
    """With a GPU, the manifest holds the agreement of the graph and of the engine."""
    verification = load_manifest(edge_engine).verification
    assert verification is not None
    graph, engine = verification.agreements
    assert graph.compared == "fp16 graph, rounded on the CPU"
    assert engine.compared == "the engine"
    assert verification.remark == ""


@pytest.mark.slow
def test_the_masks_are_those_of_openvino(
    edge_engine: Path, tmp_path: Path, build_engine: Callable[..., object]
) -> None:
    """The embedded model in fp16, on the synthetic strip, within the limits of a verification."""
    manifest = load_manifest(edge_engine)
    verification = manifest.verification
    assert verification is not None
    build_engine(EDGE, EDGE_SHAPE, tmp_path / "cpu")
    strip = SyntheticStrip(77, EDGE_SHAPE, 6.0)
    frames = np.stack([strip.frame(index).pixels for index in range(6)])
    wanted = run_engine(tmp_path / "cpu", load_manifest(tmp_path / "cpu"), frames)
    found = run_engine(edge_engine, manifest, frames)
    agreement = compare("the engine", wanted, found, manifest.classes)
    print(agreement)
    assert not faults(msgspec.structs.replace(verification, agreements=(agreement,)))


def test_the_factory_shares_the_device_of_the_engine_beside(
    tiny_engine: Path, device_stats: Mapping[str, int]
) -> None:
    """Two engines on one CUDA context: the first is closed, the second stays right."""
    manifest, frames = load_manifest(tiny_engine), some_frames(9, 10)
    wanted = {HALF.tobytes(): single_results(tiny_engine, frames, HALF)}
    slots = make_slots(4)
    factory = engine_factory(tiny_engine, manifest)
    first = factory(slots)
    pins = device_stats["host_pins"]
    second = factory(slots, first)
    assert isinstance(second, TensorRtEngine)
    assert device_stats["contexts"] == 1
    first.close()
    assert device_stats["host_pins"] == pins
    assert run_randomly(second, slots, frames, wanted, 50, seed=9) >= 50
    second.close()
    assert device_stats["contexts"] == 0
