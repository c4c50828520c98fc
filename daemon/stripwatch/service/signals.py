"""Signals: received as a flag by commands that have something to finish, and sent to children."""

from __future__ import annotations

import math
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

POLL_S = 0.05


class SignalEvent(threading.Event):
    """An event that a signal handler may set.

    A handler interrupts its own thread anywhere, also inside `wait` while that holds the lock of
    a `threading.Event`; to set it there would wait for ever. This one has no lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False

    def set(self) -> None:
        """Set it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set or `timeout` seconds have passed; returns whether it is set."""
        until_s = math.inf if timeout is None else time.monotonic() + timeout
        while not self._is_set and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, POLL_S))
        return self._is_set


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal acts as if nobody had caught it.

    Must be entered in the main thread.
    """
    stop = SignalEvent()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield stop
    finally:
        restore()


def end_process(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """SIGTERM, and SIGKILL for a process that has not ended within `timeout_s`."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
