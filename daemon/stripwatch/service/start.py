"""Start of every command: libraries are loaded in a way that Ctrl-C ends in silence."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Let SIGINT end the process at once for the length of a block of imports.

    Nothing is open yet that would have to be cleaned up, and an import that is interrupted prints a
    traceback. A shell shows exit code 130. Must be entered in the main thread. A SIGINT that is
    ignored, as under `nohup`, stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
