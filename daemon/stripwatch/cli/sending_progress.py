"""Progress of sending frames: a bar on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from stripwatch.feed.sender import Schedule
from stripwatch.feed.sources import Source
from stripwatch.wire.frame import FrameHeader

LINE_S = 10.0  # between two lines of text

OnSent = Callable[[FrameHeader], None]


@contextmanager
def sending_progress(source: Source, schedule: Schedule) -> Iterator[OnSent]:
    """A function to call after each frame, for the length of a block."""
    console = Console(stderr=True)
    total = _total(source, schedule)
    if not console.is_terminal:
        yield _Lines(total).add
        return
    with Progress(
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda _: progress.advance(task)


def _total(source: Source, schedule: Schedule) -> int | None:
    """Frames to send by all cameras, or None if that is not known."""
    count = None if schedule.loop else source.count
    limits = [number for number in (count, schedule.frame_count) if number is not None]
    copies = 1 if source.cameras else len(schedule.cameras)
    return min(limits) * copies if limits else None


class _Lines:
    """Prints frames sent, rate and time left, every `LINE_S` seconds."""

    def __init__(self, total: int | None, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock_s = clock_s
        self._start_s = self._printed_s = clock_s()
        self._sent = 0

    def add(self, _: FrameHeader) -> None:
        """Count a frame."""
        self._sent += 1
        now_s = self._clock_s()
        if now_s - self._printed_s < LINE_S:
            return
        self._printed_s = now_s
        rate = self._sent / (now_s - self._start_s)
        line = f"sending: {self._sent} frames, {rate:.1f} frames/s"
        if self._total is not None:
            left_s = (self._total - self._sent) / rate
            line = f"sending: {self._sent} of {self._total} frames, {rate:.1f} frames/s"
            line += f", about {left_s:.0f} s left"
        sys.stderr.write(f"{line}\n")


class _Rate(ProgressColumn):
    """Frames per second at present."""

    def render(self, task: Task) -> Text:
        """The column's text."""
        return Text(f"{task.speed or 0:.1f} frames/s")
