"""Positions of named readers: up to where each has read, so that retention waits for it.

They have a file of their own beside the journal (ADR 21): several processes write it, and a
position that a power cut takes back only repeats events (synchronous=NORMAL).
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from stripwatch.errors import StorageError
from stripwatch.journal.faults import as_storage_error

FILE = "positions.db"
READERS_MAX = 100
BUSY_TIMEOUT_S = 1.0


class TooManyReaders(StorageError):
    """There are `READERS_MAX` readers already."""


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a reader has read."""

    reader: str
    stream: str
    seq: int  # of the last event that it has dealt with
    t_ns: int  # when it said so, Unix time


class Positions:
    """The file of positions; belongs to one thread. Any number of processes may have it open."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the file, made where it is missing, unless it is only to be read.

        Raises:
            StorageError: it cannot be opened or written.
        """
        self.path = folder / FILE
        with as_storage_error(self.path):
            mode = "ro" if read_only else "rwc"
            self._database = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                BUSY_TIMEOUT_S,
                isolation_level=None,
                uri=True,
                check_same_thread=False,
            )
            if read_only:
                return
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS position (reader TEXT PRIMARY KEY, "
                    "stream TEXT NOT NULL, seq INTEGER NOT NULL, t_ns INTEGER NOT NULL) "
                    "STRICT, WITHOUT ROWID"
                )
            except BaseException:
                self._database.close()
                raise

    def get(self, reader: str) -> Position | None:
        """The position of a reader; None: it has none yet.

        Raises:
            StorageError: the file cannot be read.
        """
        with as_storage_error(self.path):
            row = self._database.execute(
                "SELECT reader, stream, seq, t_ns FROM position WHERE reader = ?", (reader,)
            ).fetchone()
        return Position(*row) if row else None

    def all(self) -> list[Position]:
        """The positions of all readers, by name.

        Raises:
            StorageError: the file cannot be read.
        """
        with as_storage_error(self.path):
            rows = self._database.execute(
                "SELECT reader, stream, seq, t_ns FROM position ORDER BY reader"
            ).fetchall()
        return [Position(*row) for row in rows]

    def set(self, reader: str, stream: str, seq: int) -> None:
        """Move a reader's position; also back, where the reader wants events again.

        Raises:
            TooManyReaders: the reader is new, and there is no room for it.
            StorageError: the file cannot be written.
        """
        with as_storage_error(self.path):
            known = {one.reader for one in self.all()}
            if reader not in known and len(known) >= READERS_MAX:
                raise TooManyReaders(
                    f"has {READERS_MAX} readers; remove one with: stripwatch journal forget READER"
                )
            self._database.execute(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)",
                (reader, stream, seq, time.time_ns()),
            )

    def forget(self, reader: str) -> bool:
        """Remove a reader, so that retention no longer waits for it; False: there is none.

        Raises:
            StorageError: the file cannot be written.
        """
        with as_storage_error(self.path):
            cursor = self._database.execute("DELETE FROM position WHERE reader = ?", (reader,))
        return cursor.rowcount > 0

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._database.close()
