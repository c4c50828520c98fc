"""The strip under the fake camera: what passes, what is taken, what is skipped."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stripwatch.camera.fake.motion import Exposure, LineTaker, StripLines, parse_motion
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.frame import Source, raw_frame


def run(taker: LineTaker, steps: list[int], step_s: float = 0.01) -> list[Exposure]:
    """The frames while `steps` lines pass, one step each; the encoder begins at 100."""
    count = 100
    found: list[Exposure] = []
    for number, passed in enumerate(steps, 1):
        found += taker.advance(count, passed, number * step_s, step_s)
        count += passed
    return found


def test_legs_repeat() -> None:
    motion = parse_motion("1000x2,0x1,500x2")
    assert [motion.lines_at(t) for t in (0, 1, 2, 3, 4, 5, 8)] == [
        *(0, 1000, 2000, 2000, 2500, 3000, 5000)
    ]
    assert parse_motion("1000").lines_at(2.5) == 2500


@pytest.mark.parametrize("text", ["", "fast", "1000x", "10x0", "10x1,,", "-5"])
def test_a_motion_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="lines per second"):
        parse_motion(text)


def test_frames_follow_each_other_without_a_hole() -> None:
    frames = run(LineTaker(64, 1e6, None), [10] * 40)
    assert frames == [Exposure(100 + 64 * number, 64, 0) for number in range(6)]


def test_several_frames_end_in_one_step() -> None:
    assert [frame.first_count for frame in run(LineTaker(64, 1e6, None), [200])] == [100, 164, 228]


def test_a_frame_that_has_begun_leaves_by_the_timeout_when_the_strip_stops() -> None:
    frames = run(LineTaker(64, 1e6, 0.05), [10, 10, 0, 0, 0, 0, 0, 0, 64])
    assert frames == [Exposure(100, 20, 0), Exposure(120, 64, 0)]


def test_without_a_timeout_it_waits_for_the_strip() -> None:
    assert run(LineTaker(64, 1e6, None), [10] + [0] * 100) == []


def test_every_line_that_passes_is_taken_or_counted_as_skipped() -> None:
    """At up to three times the camera's line rate, at random."""
    chance = random.Random(8)
    steps = [chance.randint(0, 300) for _ in range(500)]
    frames = run(LineTaker(64, 10_000, 0.2), steps)
    assert sum(frame.skipped for frame in frames) > 1000
    at = frames[0].first_count
    for frame in frames:
        assert frame.first_count - at in range(3), "rounding of a line between two frames"
        at = frame.first_count + frame.lines + frame.skipped


def test_the_lines_of_a_source_repeat() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(6, 2)
    lines = StripLines(Source(name="s", frames=lambda: iter([raw_frame(image)]), count=1), 2)
    assert np.array_equal(lines.take(4), image[:4])
    lines.skip(1)
    assert np.array_equal(lines.take(3), image[[5, 0, 1]])


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="no frames"):
        StripLines(Source(name="s", frames=lambda: iter(()), count=0), 2)
