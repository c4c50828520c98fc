"""The parts of the bench that are measured only where asked for: what their figures hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.line.cameras import need_aravis

from stripwatch.lab.bench.cameras import CAMERAS, camera_load
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.bench.page import BROWSERS, page_cost

pytestmark = pytest.mark.slow


@pytest.fixture
def setup(tmp_path: Path) -> BenchSetup:
    return BenchSetup(frame_shape=(64, 256), rows=4, seconds=1.0, sockets=tmp_path)


def test_the_page_is_measured_with_browsers_that_receive_something(setup: BenchSetup) -> None:
    """How many events and answers each has received is told, and how many received none."""
    figures = page_cost(setup, rounds=1)
    assert figures["browsers"] == BROWSERS
    assert isinstance(figures["ratio"], float)
    assert figures["ratio"] > 0
    assert str(figures["events_of_a_browser"]).endswith("in a reading")
    assert str(figures["answers_of_a_browser"]).endswith("in a reading")
    assert figures["browsers_that_received_nothing"] in range(BROWSERS + 1)
    goals = figures["goals"]
    assert isinstance(goals, list)
    (goal,) = goals
    if figures["browsers_that_received_nothing"]:  # on a machine that has no time for them
        assert goal["met"] == "no"
        assert "received nothing" in goal["measured"]


def test_four_cameras_are_measured(setup: BenchSetup) -> None:
    need_aravis()
    figures = camera_load(setup)
    assert figures["cameras"] == CAMERAS
    assert isinstance(figures["inspected frames/s"], float)
    assert figures["inspected frames/s"] > 0
    assert isinstance(figures["missed frames"], int)
    shares = [name for name in figures if name.endswith("ms of processor a frame")]
    assert len(shares) == 3
