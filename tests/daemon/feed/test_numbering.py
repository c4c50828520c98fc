"""Headers of a camera's frames, new ones and those of a recording."""

from __future__ import annotations

import itertools

import numpy as np

from stripwatch.feed.numbering import Numbering, Renumbering
from stripwatch.feed.sources.frame import raw_frame
from stripwatch.wire.frame import FrameHeader


def recorded(session: str, seq: int, camera: str = "top") -> FrameHeader:
    return FrameHeader(
        v=1,
        camera=camera,
        session=session,
        seq=seq,
        t_ns=5_000_000_000 + seq,
        shape=(1, 2),
        dtype="u8",
        codec="raw",
        strip="C7",
        line=70,
        end=True,
    )


def test_frames_are_numbered_and_lines_counted() -> None:
    """seq continues over strips, line starts at 0 in each."""
    numbering = Numbering("top", "s")
    tall, short = (raw_frame(np.zeros((lines, 8), np.uint8)) for lines in (4, 3))
    headers = [
        numbering.header(tall, "A", end=False, t_ns=1),
        numbering.header(short, "A", end=True, t_ns=2),
        numbering.header(tall, "B", end=False, t_ns=3),
        numbering.header(tall, "B", end=False, t_ns=4),
    ]
    assert [header.seq for header in headers] == [0, 1, 2, 3]
    assert [header.line for header in headers] == [0, 4, 0, 4]
    assert [header.end for header in headers] == [False, True, False, False]


def test_recorded_sessions_get_new_names_and_keep_their_numbers() -> None:
    """Each recorded session of a camera becomes one new session; all else but t_ns stays."""
    names = (f"new{number}" for number in itertools.count())
    renumbering = Renumbering(lambda: next(names))
    frames = [recorded("a", 3), recorded("a", 9), recorded("b", 0), recorded("a", 9, "bottom")]
    headers = [renumbering.header(header, 42) for header in frames]
    assert len({header.session for header in headers}) == 3
    assert headers[0].session == headers[1].session
    assert [header.seq for header in headers] == [3, 9, 0, 9]
    assert {header.t_ns for header in headers} == {42}
    assert (headers[0].strip, headers[0].line, headers[0].end) == ("C7", 70, True)
