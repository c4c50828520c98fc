"""Cameras that stop alone, told apart from a strip that stands still."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stripwatch.service.stopped_cameras import STOPPED_S_MIN, StoppedCameras

LATE_S = int(STOPPED_S_MIN)


def look(spans: dict[str, Sequence[tuple[int, int]]], until_s: int) -> tuple[str, ...]:
    """One look a second; each camera sends in its spans of seconds."""
    cameras = StoppedCameras()
    counts: dict[str, int] = {}
    stopped: tuple[str, ...] = ()
    for now_s in range(until_s + 1):
        for camera, of_camera in spans.items():
            if any(begin <= now_s < end for begin, end in of_camera):
                counts[camera] = counts.get(camera, 0) + 1
        stopped = cameras.update(dict(counts), float(now_s))
    return stopped


@pytest.mark.parametrize(
    ("spans", "stopped"),
    [
        # One stops, the other goes on.
        ({"top": [(0, 10)], "bottom": [(0, 100)]}, ("top",)),
        # Both stop: the strip stands still.
        ({"top": [(0, 10)], "bottom": [(0, 10)]}, ()),
        # Nothing to compare with.
        ({"top": [(0, 10)]}, ()),
        # After a stop of the line one comes back before the other: for a while that is no fault.
        ({"top": [(0, 10)], "bottom": [(0, 10), (60, 100)]}, ()),
        # It came back.
        ({"top": [(0, 10), (80, 100)], "bottom": [(0, 100)]}, ()),
        # Never seen: silence since the start has a reason of its own.
        ({"bottom": [(0, 100)]}, ()),
    ],
)
def test_a_camera_that_stops_alone_is_told_from_a_strip_that_stands_still(
    spans: dict[str, Sequence[tuple[int, int]]], stopped: tuple[str, ...]
) -> None:
    assert look(spans, 60 + LATE_S - 2) == stopped


def test_a_camera_that_stays_away_after_a_stop_of_the_line_is_found() -> None:
    assert look({"top": [(0, 10)], "bottom": [(0, 10), (60, 100)]}, 60 + LATE_S) == ("top",)
