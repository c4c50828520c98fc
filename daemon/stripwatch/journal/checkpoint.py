"""Copies the write-ahead log into the journal's file, beside the thread that writes events.

SQLite would do it inside a commit, which then takes some 50 ms: too long for the events that wait
for it. What the log has got meanwhile is little, and the writer's own checkpoint, at `WAL_PAGES`
in store.py, copies that and begins the log anew.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

PAGES = 500  # of 4 KiB written since the last checkpoint; a tenth of a second at 10,000 events/s
CLOSE_S_MAX = 1.0


class Checkpointer:
    """A thread; `add` and `close` belong to the thread that writes the journal."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=rw"  # never makes a file that was removed
        self._pages = 0
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def add(self, pages: int) -> None:
        """Count what was written, roughly."""
        self._pages += pages
        if self._pages >= PAGES:
            self._pages = 0
            self._due.set()

    def close(self) -> None:
        """End the thread; on a slow disk it ends later than this returns, and harms nothing."""
        self._closed = True
        self._due.set()
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._closed:
                return
            try:
                # Opened for each: the file may have been removed and made again.
                with closing(sqlite3.connect(self._uri, uri=True, isolation_level=None)) as file:
                    file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error:
                continue  # a fault of the disk shows in the writer's next commit, too
