"""A stream for log lines that never raises and never makes its writer wait.

The reader of standard error may have gone, may not read, or its disk may be full. None of that may
stop or delay inspection, so a thread of its own writes the lines, and those for which there is no
room are dropped and counted.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time

LINES_MAX = 10_000  # that wait to be written
CHUNK_BYTES = 512  # a pipe that can be written to takes so many bytes at once: POSIX's PIPE_BUF
POLL_S = 0.1
CLOSE_S_MAX = 1.0  # for the last lines


class LogStream:
    """A text stream that hands lines to a thread, which writes them to a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(LINES_MAX)
        self._dropped = 0  # since the last line that was written
        self._closed_s: float | None = None  # until then the thread tries to write
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a line; returns its length, as streams do."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Does nothing: the thread writes every line at once."""

    def isatty(self) -> bool:
        """Whether the lines go to a terminal."""
        return os.isatty(self._descriptor)

    def close(self) -> None:
        """Write what waits, for up to `CLOSE_S_MAX`."""
        self._closed_s = time.monotonic() + CLOSE_S_MAX
        self.write("")  # wakes the thread
        self._thread.join(CLOSE_S_MAX + POLL_S)

    def _run(self) -> None:
        while not (self._is_late() or (self._closed_s is not None and self._lines.empty())):
            line = self._lines.get()
            dropped, self._dropped = self._dropped, 0
            if dropped:
                line = f"{line}{dropped} log lines dropped: their reader is too slow\n"
            if line and not self._write(line.encode(errors="backslashreplace")):
                self._dropped += dropped + 1

    def _write(self, data: bytes) -> bool:
        """Write a line; False where it cannot be written."""
        try:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            while data:
                if not poll.poll(POLL_S * 1000):
                    if self._is_late():
                        return False
                    continue
                data = data[os.write(self._descriptor, data[:CHUNK_BYTES]) :]
        except OSError:  # no reader, or no space: the next line is tried again
            return False
        return True

    def _is_late(self) -> bool:
        return self._closed_s is not None and time.monotonic() > self._closed_s
