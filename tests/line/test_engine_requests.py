"""Requests to the engine thread while it works: each is taken whole, at one moment, or refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec
import numpy as np

from stripwatch.config.sections import Batch
from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.fake import PAINT, FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.inspect.model import Model
from stripwatch.stages.engine_loop import EngineLoop
from stripwatch.testing import CLASSES, fake_line
from stripwatch.wire.event import Defect

FRAMES = 40


@contextmanager
def at_every_line(function: Callable[..., Any], action: Callable[[], None]) -> Iterator[None]:
    """Run an action before every line of a function, in whatever thread it runs."""
    code = function.__code__

    def on_event(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code is not code:
            return None
        if event == "line":
            sys.settrace(None)  # the action itself is not traced
            action()
            sys.settrace(on_event)
        return on_event

    threading.settrace(on_event)
    sys.settrace(on_event)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)


def test_a_batch_has_one_model_whenever_the_model_changes() -> None:
    """The thresholds that the engine gets and the classes that name its defects are of one model.

    The model changes before every line of the submission. Only the strict model has a class named
    "strict", and with its thresholds nothing is found.
    """
    lax = Model("f" * 64, CLASSES)
    strict = Model(
        "f" * 64,
        tuple(msgspec.structs.replace(entry, name="strict", threshold=0.95) for entry in CLASSES),
    )
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2:4, 5:9] = PAINT + 1
    turn = iter([strict, lax] * 10_000)
    lines: list[Any] = []
    with (
        at_every_line(EngineLoop._submit, lambda: lines[0].pipeline.set_model(next(turn))),
        fake_line(batch=Batch(rows=1, wait_ms=1)) as line,
    ):
        lines.append(line)
        for seq in range(FRAMES):
            line.camera.send("top", "s", seq, pixels)
        line.wait_for_frame("top", "s", FRAMES - 1)
    found = [event.class_name for event in line.events if isinstance(event, Defect)]
    assert "strict" not in found


def test_a_new_engine_is_never_loaded_beside_one_that_was_closed() -> None:
    """The device fails, and the engine is rebuilt, before every line of the request for a swap."""
    made: list[FakeEngine] = []
    closed: list[Engine] = []
    loaded_beside_closed: list[bool] = []

    class Failing(FakeEngine):
        def close(self) -> None:
            closed.append(self)
            super().close()

    def running(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        assert beside is None
        made.append(Failing(slots, FakeBehaviour(fail_every=1)))
        return made[-1]

    def replacement(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        loaded_beside_closed.append(beside in closed)
        return FakeEngine(slots, FakeBehaviour())

    with fake_line(
        factory=running, batch=Batch(rows=1, wait_ms=1), rebuilds_max=1000, rebuild_delay_s_max=0.1
    ) as line:
        seqs = iter(range(1000))

        def fail() -> None:
            rebuilt = len(made) + 1
            line.camera.send("top", "s", next(seqs))
            line.wait(lambda: len(made) >= rebuilt or bool(loaded_beside_closed))

        with at_every_line(EngineLoop.swap, fail):
            swap = line.pipeline.swap(Model("a" * 64, CLASSES), replacement)
        line.wait(swap.over.is_set)
    assert True not in loaded_beside_closed
