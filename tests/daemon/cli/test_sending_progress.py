"""Progress of a replay where its output is no terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stripwatch.cli.sending_progress import _Lines
from stripwatch.wire.frame import FrameHeader

HEADER = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=1, shape=(8, 32), dtype="u8", codec="raw"
)


@pytest.mark.parametrize(
    ("total", "line"),
    [
        (100, "sending: 40 of 100 frames, 4.0 frames/s, about 15 s left\n"),
        (None, "sending: 40 frames, 4.0 frames/s\n"),
    ],
)
def test_a_line_of_text_is_printed_every_ten_seconds(
    total: int | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    times: Iterator[float] = iter(number * 0.25 for number in range(1000))
    lines = _Lines(total, lambda: next(times))
    for _ in range(60):
        lines.add(HEADER)
    assert capsys.readouterr().err == line
