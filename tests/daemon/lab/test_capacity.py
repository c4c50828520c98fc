"""The daemon's own capacity: an engine with canned results, a listener, and threads' clocks."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.findings import Segmentation
from stripwatch.lab.bench import capacity
from stripwatch.lab.bench.canned import CannedEngine
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.bench.load_monitor import threads_cpu_ns

SHAPE = (8, 1600)  # as wide as the synthetic strip needs
CLASSES = (DefectClass(id=1, name="pits"),)


def test_a_share_of_the_frames_is_defective_evenly_over_all_batches() -> None:
    """Over batches of any size; what is found does not change."""
    mask = np.eye(4, dtype=np.uint8)
    canned = Segmentation(mask, mask[None] * np.uint8(200), np.array([4], np.float32), CLASSES)
    slots = [np.zeros((3, 4, 4), np.uint8) for _ in range(2)]
    engine = CannedEngine(slots, [canned], 0.3)
    defective = []
    for batch in range(40):
        slot, rows = batch % 2, 1 + batch % 3
        engine.submit(slot, rows, np.array([0.5], np.float32))
        assert engine.done(slot)
        result = engine.wait(slot)
        assert len(result.area) == rows
        assert (result.mask == mask).all()
        defective += (result.area[:, 0] == 4).tolist()
    assert sum(defective) == int(0.3 * len(defective))
    assert max(np.diff(np.flatnonzero(defective))) == 4


def test_processor_time_is_told_by_the_names_of_threads() -> None:
    """A thread that works has more of it than one that waits."""
    stop = threading.Event()

    def work() -> None:
        until_ns = time.thread_time_ns() + 50_000_000
        while time.thread_time_ns() < until_ns:
            pass
        stop.wait()

    worker = threading.Thread(target=work, name="worker")
    idler = threading.Thread(target=stop.wait, name="idler")
    worker.start()
    idler.start()
    until_s = time.monotonic() + 20
    while threads_cpu_ns().get("worker", 0) < 50_000_000 and time.monotonic() < until_s:
        time.sleep(0.01)
    taken_ns = threads_cpu_ns()
    stop.set()
    worker.join()
    idler.join()
    assert taken_ns["worker"] >= 50_000_000 > taken_ns["idler"]


@pytest.mark.slow
def test_the_part_measures_every_mix(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames, events and images flow, and every thread has its column."""
    monkeypatch.setattr(capacity, "ROUNDS", 1)
    figures = capacity.capacity(BenchSetup(SHAPE, 4, 0.3, tmp_path_factory.mktemp("s"), wait_ms=2))
    rows = figures["modes"]
    assert isinstance(rows, list)
    clean, _, defective, with_images = rows
    assert clean["share"] == 0
    assert min(row["frames_per_s"] for row in rows) > 0
    assert defective["events_per_s"] > clean["events_per_s"]
    assert (defective["images_per_s"], with_images["images"]) == (0, "yes")
    assert with_images["images_per_s"] > 0
    assert {"receive_us", "deliver_us"} <= set(defective)
