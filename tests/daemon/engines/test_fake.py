"""The fake engine: it finds what is painted; delays and faults come on demand."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stripwatch.engines.fake import CLASSES, PAINT, FakeEngine
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest
from stripwatch.errors import DeviceError

HALF = np.full(CLASSES, 0.5, np.float32)


def random_slots(seed: int, count: int = 2) -> list[np.ndarray]:
    """Slots of three frames of random pixels, among them all paints."""
    generator = np.random.default_rng(seed)
    return [generator.integers(245, 256, (3, 8, 16), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_results_say_what_is_painted(seed: int) -> None:
    """Mask, area, peak and prob of random frames."""
    slots = random_slots(seed)
    engine = FakeEngine(slots, FakeBehaviour())
    engine.submit(1, 3, HALF)
    result = engine.wait(1)
    for index in range(CLASSES):
        painted = slots[1] == PAINT + 1 + index
        assert np.array_equal(result.mask >> index & 1, painted)
        assert np.array_equal(result.area[:, index], painted.sum(axis=(1, 2)))
        assert np.array_equal(result.prob[:, index], painted * np.uint8(204))
        assert np.array_equal(result.peak[:, index], painted.any(axis=(1, 2)) * np.float32(0.8))


def test_thresholds_belong_to_the_batch_they_came_with() -> None:
    """Also while another batch with other thresholds is in flight; and >= means >=."""
    slots = random_slots(6)
    engine = FakeEngine(slots, FakeBehaviour())
    thresholds = np.array([0.5, 0.8, 0.85, 0.5], np.float32)
    engine.submit(0, 3, thresholds)
    thresholds[:] = 1
    engine.submit(1, 3, thresholds)
    first, second = engine.wait(0), engine.wait(1)
    assert (first.area > 0).all(axis=0).tolist() == [True, True, False, True]
    assert not (first.mask & 0b0100).any()
    assert not second.mask.any()
    assert (second.peak == np.float32(0.8)).all()


def test_a_result_has_the_rows_and_classes_that_were_asked_for() -> None:
    """Rows by the batch, classes by the engine's manifest."""
    slots = random_slots(7)
    classes = tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2))
    manifest = Manifest(
        target="fake",
        engine_hash="",
        builder="test",
        precision="fp32",
        frame_shape=(8, 16),
        classes=classes,
    )
    engine = engine_factory(Path(), manifest)(slots)
    engine.submit(0, 2, HALF[:2])
    result = engine.wait(0)
    assert result.mask.shape == (2, 8, 16)
    assert result.area.shape == result.peak.shape == (2, 2)
    assert result.prob.shape == (2, 2, 8, 16)
    assert result.mask.max() == 0b10


def test_classes_are_judged_absent_when_asked_for_and_found_all_the_same() -> None:
    """From every frame; ids of classes that the engine lacks are ignored."""
    engine = FakeEngine(random_slots(13), FakeBehaviour(absent=(2, 3, 8)), classes=3)
    engine.submit(0, 2, HALF[:3])
    result = engine.wait(0)
    assert result.absent.tolist() == [[0, 1, 1]] * 2
    assert (result.area > 0).any(axis=0).all()


def test_an_engine_that_reads_no_pixels_finds_nothing() -> None:
    """For benchmarks of everything around it."""
    engine = FakeEngine(random_slots(8), FakeBehaviour(read_pixels=False))
    engine.submit(0, 3, HALF)
    assert not engine.wait(0).area.any()


def test_every_nth_batch_fails_in_the_order_of_submission() -> None:
    """Two slots in flight: the fault is of the batch, not of the last one submitted."""
    engine = FakeEngine(random_slots(9), FakeBehaviour(fail_every=3))
    engine.submit(0, 1, HALF)
    for batch in range(1, 10):
        engine.submit(batch % 2, 1, HALF)  # the one after
        if batch % 3:
            engine.wait((batch + 1) % 2)
        else:
            with pytest.raises(DeviceError, match=f"fake fault in batch {batch}"):
                engine.wait((batch + 1) % 2)


def test_a_fault_of_the_tests_own_is_raised_by_wait() -> None:
    """A callable sees each batch's number."""
    seen: list[int] = []

    def fault(batch: int) -> None:
        seen.append(batch)
        if batch == 2:
            raise DeviceError("pulled the plug")

    engine = FakeEngine(random_slots(10), FakeBehaviour(), fault=fault)
    engine.submit(0, 1, HALF)
    engine.submit(1, 1, HALF)
    engine.wait(0)
    with pytest.raises(DeviceError, match="pulled the plug"):
        engine.wait(1)
    assert seen == [1, 2]


def test_a_hanging_batch_ends_when_another_thread_closes_the_engine() -> None:
    """Until then it hangs, whatever batch comes after."""
    engine = FakeEngine(random_slots(11), FakeBehaviour(hang_after=2))
    engine.submit(0, 1, HALF)
    engine.submit(1, 1, HALF)
    engine.wait(0)
    errors: list[str] = []

    def hang() -> None:
        try:
            engine.wait(1)
        except DeviceError as error:
            errors.append(str(error))

    thread = threading.Thread(target=hang)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    engine.close()
    thread.join(10)
    assert not thread.is_alive()
    assert errors == ["batch 2 was hanging when the fake engine was closed"]


def test_delays_add_up_as_on_one_device() -> None:
    """Two batches in flight take twice the time of one: at least, for a busy machine is slower."""
    engine = FakeEngine(random_slots(12), FakeBehaviour(delay_ms=20))
    started_s = time.monotonic()
    engine.submit(0, 1, HALF)
    engine.submit(1, 1, HALF)
    engine.wait(0)
    engine.wait(1)
    assert time.monotonic() - started_s >= 0.04
