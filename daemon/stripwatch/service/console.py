"""Output of commands on a terminal: a plain console, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps (0 = unknown)


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints names as they are, whatever brackets and colons they contain."""
    return Console(stderr=stderr, markup=False, emoji=False)


class ProgressBar:
    """A bar on standard error while a command works; nothing where that is no terminal."""

    def __init__(self) -> None:
        console = plain_console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> ProgressBar:
        """Start."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clear the bar."""
        self._bar.stop()

    def show(self, what: str, done: int, steps: int) -> None:
        """Show what is being done and how far it is: a `Progress`."""
        self._bar.update(self._task, description=what, completed=done, total=steps or None)
