"""Output of commands: a plain console, and progress as a bar or as lines of text."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps (0 = unknown)
QUIET_S = 3.0  # work that takes no longer prints no line
LINE_INTERVAL_S = 10.0  # between lines where there is no terminal
WIDE = 10_000  # columns where there is no terminal: no line is wrapped


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints names as they are, whatever brackets and colons they contain.

    Where it is no terminal, lines are not wrapped: what is printed can be copied and searched.
    """
    console = Console(stderr=stderr, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


class Estimate:
    """Time left of work that is done in steps, from the time that the steps done took."""

    def __init__(self) -> None:
        self._what = ""
        self._started_s = 0.0
        self._first = 0
        self._done = 0
        self._steps = 0

    def update(self, what: str, done: int, steps: int, now_s: float) -> None:
        """Take over a report of progress; another `what` begins a new estimate."""
        if what != self._what or done < self._done:
            self._what, self._started_s, self._first = what, now_s, done
        self._done, self._steps = done, steps

    def left_s(self, now_s: float) -> float | None:
        """Seconds left of this work; None = unknown."""
        done = self._done - self._first
        if not self._steps or done <= 0:
            return None
        finished_s = now_s - self._started_s
        return finished_s / done * (self._steps - self._done)

    def text(self, now_s: float) -> str:
        """What is being done, steps and time left, in words."""
        steps = f", {self._done} of {self._steps}" if self._steps else ""
        left_s = self.left_s(now_s)
        left = f", about {duration_text(left_s)} left" if left_s is not None else ""
        return f"{self._what}{steps}{left}"


def duration_text(seconds: float) -> str:
    """A duration in the two units that matter, such as "4 min 10 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class ProgressBar:
    """Progress on standard error: a bar on a terminal, else a line of text now and then.

    Both show an estimate of the time left as soon as steps are done. Without a terminal the first
    line comes after QUIET_S.
    """

    def __init__(self) -> None:
        console = plain_console(stderr=True)
        self._is_terminal = console.is_terminal
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
            disable=not self._is_terminal,
        )
        self._task = self._bar.add_task("", total=None, left="")
        self._estimate = Estimate()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._lines = threading.Thread(target=self._print_lines, name="progress", daemon=True)

    def __enter__(self) -> ProgressBar:
        """Start."""
        self._bar.start()
        if not self._is_terminal:
            self._lines.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clear the bar, or print no more lines."""
        self._stopped.set()
        if self._lines.is_alive():
            self._lines.join()
        self._bar.stop()

    def show(self, what: str, done: int, steps: int) -> None:
        """Show what is being done and how far it is: a `Progress`."""
        now_s = time.monotonic()
        with self._lock:
            self._estimate.update(what, done, steps, now_s)
            left_s = self._estimate.left_s(now_s)
        left = "" if left_s is None else f"about {duration_text(left_s)} left"
        self._bar.update(
            self._task, description=what, completed=done, total=steps or None, left=left
        )

    def _print_lines(self) -> None:
        started_s = time.monotonic()
        wait_s = QUIET_S
        while not self._stopped.wait(wait_s):
            wait_s = LINE_INTERVAL_S
            now_s = time.monotonic()
            with self._lock:
                text = self._estimate.text(now_s)
            try:
                sys.stderr.write(f"{duration_text(now_s - started_s)}: {text}\n")
                sys.stderr.flush()
            except (OSError, ValueError):  # stderr was closed; progress is not worth an error
                return
