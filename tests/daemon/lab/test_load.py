"""Steady load and hot-swap, measured on a fake engine."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.manifest import DefectClass, FakeBehaviour
from stripwatch.errors import DeviceError
from stripwatch.inspect.model import Model
from stripwatch.lab.bench import load
from stripwatch.lab.bench.figures import Figures
from stripwatch.lab.bench.harness import BenchSetup

SHAPE = (8, 32)
CLASSES = (DefectClass(id=1, name="pits"),)


@pytest.fixture
def setup(tmp_path_factory: pytest.TempPathFactory) -> BenchSetup:
    """A small line with a short path for its sockets."""
    return BenchSetup(SHAPE, 4, 1.0, tmp_path_factory.mktemp("s"), wait_ms=2)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second of percentiles is enough: their values are not tested."""
    monkeypatch.setattr(load, "LATENCY_S_MIN", 1.2)


def goal_of(figures: Figures) -> tuple[str, str]:
    """What was measured of the only goal, and whether it is met."""
    goals = figures["goals"]
    assert isinstance(goals, list)
    goal, *_ = goals
    return goal["measured"], goal["met"]


@pytest.mark.slow
def test_a_swap_under_load_exchanges_the_engine_and_loses_no_frame(setup: BenchSetup) -> None:
    """A second engine is made beside the first, and every frame meanwhile is inspected."""
    make = fake_factory(FakeBehaviour(read_pixels=False), len(CLASSES))
    made_beside: list[Engine | None] = []

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        made_beside.append(beside)
        return make(slots, beside)

    figures = load.hot_swap(setup, Model("0" * 64, CLASSES), factory, rate=50)
    # Made for the capacity, for the load, and beside the latter.
    assert [other is not None for other in made_beside] == [False, False, True]
    assert goal_of(figures) == ("none", "yes")
    assert figures["inspected_meanwhile"]
    assert figures["offered_frames_per_s"] == 50


@pytest.mark.slow
def test_a_swap_that_fails_is_told(setup: BenchSetup) -> None:
    """What keeps the new engine from being made ends the measurement."""
    make = fake_factory(FakeBehaviour(read_pixels=False), len(CLASSES))

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        if beside is not None:
            raise DeviceError("no room for two")
        return make(slots)

    with pytest.raises(DeviceError, match="no room for two"):
        load.hot_swap(setup, Model("0" * 64, CLASSES), factory, rate=50)


@pytest.mark.slow
def test_more_than_the_engine_can_take_shows_as_drops(setup: BenchSetup) -> None:
    """A slow engine's drops are counted by cause, and the goal is not met."""
    slow = fake_factory(FakeBehaviour(delay_ms=200, read_pixels=False), len(CLASSES))
    figures = load.under_load(setup, Model("0" * 64, CLASSES), slow, rate=400)
    assert "overload" in str(figures["drops"])
    assert goal_of(figures)[1] == "no"
