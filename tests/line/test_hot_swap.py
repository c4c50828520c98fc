"""Another engine, or other thresholds, while frames flow: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from stripwatch.config.sections import Batch
from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.fake import PAINT, FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import DeviceError, ModelError
from stripwatch.inspect.model import Model
from stripwatch.stages.engine_swap import Swap
from stripwatch.testing import CLASSES, FakeLine, fake_line
from stripwatch.wire.event import Defect, FrameResult, Gap

QUICK = FakeBehaviour(delay_ms=2)
NEXT = Model("a" * 64, CLASSES)


class Watched:
    """Makes fake engines, and knows which of them were closed; can be held back while loading."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made: list[FakeEngine] = []
        self.beside: list[Engine | None] = []
        self.closed: list[FakeEngine] = []
        self.may_load = threading.Event()
        self.error = error

    def __call__(self, slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        assert self.may_load.wait(20)
        self.beside.append(beside)
        if self.error:
            raise self.error
        outer = self

        class Closing(FakeEngine):
            def close(self) -> None:
                outer.closed.append(self)
                super().close()

        engine = Closing(slots, QUICK)
        self.made.append(engine)
        return engine


def send(line: FakeLine, seqs: range) -> None:
    """Frames with a defect of class 1 each."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2:4, 5:9] = PAINT + 1
    for seq in seqs:
        line.camera.send("top", "s", seq, pixels)


def begin_swap(line: FakeLine, factory: Watched, model: Model = NEXT) -> Swap:
    return line.pipeline.swap(model, factory)


def results(line: FakeLine) -> list[int]:
    return [event.frame_seq for event in line.events if isinstance(event, FrameResult)]


def models(line: FakeLine) -> list[str]:
    """The models named by defects, each once, in order."""
    return [
        name
        for name, _ in itertools.groupby(
            event.model for event in line.events if isinstance(event, Defect)
        )
    ]


@pytest.mark.parametrize("rows", [1, 3])
def test_no_frame_is_lost_while_the_engine_changes(rows: int) -> None:
    """Frames are inspected by the old engine while the new one loads, then by the new one."""
    new = Watched()
    with fake_line(QUICK, batch=Batch(rows=rows, wait_ms=1)) as line:
        send(line, range(30))
        line.wait_for_frame("top", "s", 0)
        swap = begin_swap(line, new)
        send(line, range(30, 60))
        line.wait_for_frame("top", "s", 59)
        assert line.pipeline.model.name == "f" * 16  # it is still loading
        new.may_load.set()
        line.wait(lambda: line.pipeline.model is NEXT)
        send(line, range(60, 90))
        line.wait_for_frame("top", "s", 89)
        line.wait(swap.over.is_set)
        assert swap.error is None
    assert results(line) == list(range(90))
    assert not [event for event in line.events if isinstance(event, Gap)]
    assert models(line) == ["f" * 16, "a" * 16]
    assert new.beside[0] is not None
    assert new.closed == new.made  # at the end, with the daemon


def test_the_old_engine_is_closed_and_only_then_the_swap_is_over() -> None:
    """Two swaps in turn: each closes the engine before it, once."""
    first, second = Watched(), Watched()
    first.may_load.set()
    second.may_load.set()
    with fake_line(QUICK) as line:
        line.wait(begin_swap(line, first).over.is_set)
        assert first.closed == []
        line.wait(begin_swap(line, second, Model("b" * 64, CLASSES)).over.is_set)
        assert first.closed == first.made
        assert second.closed == []
        send(line, range(5))
        line.wait_for_frame("top", "s", 4)
    assert models(line) == ["b" * 16]


def test_a_second_swap_is_refused_while_one_is_under_way() -> None:
    """Its error says so, and once the first is over another is taken."""
    new = Watched()
    with fake_line(QUICK) as line:
        first, second = begin_swap(line, new), begin_swap(line, new)
        line.wait(second.over.is_set)
        assert isinstance(second.error, DeviceError)
        assert "another engine is being loaded" in str(second.error)
        new.may_load.set()
        line.wait(first.over.is_set)
        assert first.error is None
        third = begin_swap(line, new, Model("b" * 64, CLASSES))
        line.wait(third.over.is_set)
        assert third.error is None


def test_a_swap_is_refused_where_no_engine_runs() -> None:
    """After the last rebuild has failed nobody waits for a swap that cannot come."""
    new = Watched()
    with fake_line(FakeBehaviour(fail_every=1), rebuilds_max=0) as line:
        send(line, range(1))
        line.wait(lambda: line.pipeline.failure is not None)
        swap = begin_swap(line, new)
        line.wait(swap.over.is_set)
    assert isinstance(swap.error, DeviceError)
    assert new.made == []


@pytest.mark.parametrize("error", [ModelError("not for this GPU"), ValueError("a bug")])
def test_what_cannot_be_loaded_leaves_the_old_engine_running(error: Exception) -> None:
    """The swap ends with the error, and the next one works."""
    bad, good = Watched(error), Watched()
    bad.may_load.set()
    good.may_load.set()
    with fake_line(QUICK) as line:
        swap = begin_swap(line, bad)
        line.wait(swap.over.is_set)
        assert swap.error is error
        send(line, range(5))
        line.wait_for_frame("top", "s", 4)
        assert models(line) == ["f" * 16]
        line.wait(begin_swap(line, good).over.is_set)
        assert line.pipeline.model is NEXT
    assert results(line) == list(range(5))


def test_a_device_fault_while_loading_gives_the_new_engine_up() -> None:
    """Both may hang on the device that failed; the engine of before is made again."""
    new = Watched()
    with fake_line(FakeBehaviour(fail_every=3), batch=Batch(rows=1)) as line:
        swap = begin_swap(line, new)
        send(line, range(12))
        line.wait_for_frame("top", "s", 11)
        new.may_load.set()  # after the fault
        line.wait(swap.over.is_set)
        assert isinstance(swap.error, DeviceError)
        assert line.pipeline.model.name == "f" * 16
        assert new.closed == new.made
    seen = results(line)
    missed = [
        seq
        for event in line.events
        if isinstance(event, Gap)
        for seq in range(event.first_frame_seq, event.last_frame_seq + 1)
    ]
    assert sorted(seen + missed) == list(range(12))


def test_stopping_while_loading_closes_the_new_engine() -> None:
    """The daemon ends in order, and no engine is left open."""
    new = Watched()
    with fake_line(QUICK) as line:
        begin_swap(line, new)
        send(line, range(3))
        line.wait_for_frame("top", "s", 2)
        threading.Timer(0.3, new.may_load.set).start()
    assert new.closed == new.made
    assert len(new.made) == 1


def test_other_thresholds_need_no_other_engine() -> None:
    """From the next batch on, frames are judged by the thresholds that were given."""
    strict = tuple(msgspec.structs.replace(entry, threshold=0.95) for entry in CLASSES)
    with fake_line(QUICK) as line:
        send(line, range(3))
        line.wait_for_frame("top", "s", 2)
        line.pipeline.set_model(Model("f" * 64, strict))
        send(line, range(3, 6))
        line.wait_for_frame("top", "s", 5)
    found = {event.frame_seq for event in line.events if isinstance(event, Defect)}
    assert found == {0, 1, 2}


def test_a_hundred_rebuilds_leave_nothing_behind() -> None:
    """Every engine is closed, no thread is left, and each frame is inspected or a gap."""
    made: list[Engine] = []
    closed: list[Engine] = []

    class Failing(FakeEngine):
        def close(self) -> None:
            closed.append(self)
            super().close()

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        assert beside is None
        made.append(Failing(slots, FakeBehaviour(fail_every=2)))
        return made[-1]

    seq = 0
    with fake_line(
        factory=factory, batch=Batch(rows=1, wait_ms=1), rebuild_delay_s_max=0.01
    ) as line:
        threads = threading.active_count()
        while len(made) <= 100:
            line.camera.send("top", "s", seq)
            line.wait_for_frame("top", "s", seq)
            seq += 1
        assert threading.active_count() == threads
    assert made == closed
    missed = sum(event.count for event in line.events if isinstance(event, Gap))
    assert missed >= 100
    assert len(results(line)) + missed == seq
