"""Pictures of defects, in a file of their own beside the journal.

They may be lost where events may not, so the file is written without waiting for the disk
(synchronous=NORMAL), by a thread of its own, and has a limit of its own (ADR 25).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stripwatch.errors import StorageError
from stripwatch.journal.faults import as_storage_error

FILE = "pictures.db"
BUSY_TIMEOUT_S = 1.0
REMOVED_AT_ONCE = 200  # of the oldest, while there is too much

Kind = Literal["crop", "mask", "frame"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a defect."""

    stream: str
    seq: int  # of the defect's event
    kind: Kind  # "crop": around the defect; "mask": of the same place; "frame": the whole frame
    place_px: tuple[int, int]  # x and y of its first pixel in the frame
    image: bytes  # a PNG, a mask of one bit a pixel; of a frame a JPEG


class PictureStore:
    """The file of pictures; belongs to one thread. Others may read it meanwhile."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the file; made where it is missing, unless it is only to be read.

        Raises:
            StorageError: it cannot be opened.
        """
        self.path = folder / FILE
        with as_storage_error(self.path):
            if read_only and not self.path.is_file():
                raise StorageError("does not exist; set pictures.crops in the configuration")
            mode = "ro" if read_only else "rwc"
            self._database = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
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
                self._database.executescript(
                    "CREATE TABLE IF NOT EXISTS picture (number INTEGER PRIMARY KEY, "
                    "stream TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, "
                    "x INTEGER NOT NULL, y INTEGER NOT NULL, image BLOB NOT NULL) STRICT;"
                    "CREATE INDEX IF NOT EXISTS picture_of_event ON picture (seq, stream);"
                )
            except BaseException:
                self._database.close()
                raise

    def add(self, pictures: Sequence[Picture]) -> None:
        """Append pictures, all or none.

        Raises:
            StorageError: they cannot be written.
        """
        rows = [(one.stream, one.seq, one.kind, *one.place_px, one.image) for one in pictures]
        with as_storage_error(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(
                    "INSERT INTO picture (stream, seq, kind, x, y, image) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    rows,
                )
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def get(self, stream: str, seq: int) -> list[Picture]:
        """The pictures of a defect; none where they were dropped or removed.

        Raises:
            StorageError: the file cannot be read.
        """
        with as_storage_error(self.path):
            rows = self._database.execute(
                "SELECT kind, x, y, image FROM picture WHERE seq = ? AND stream = ? "
                "ORDER BY number",
                (seq, stream),
            ).fetchall()
        return [Picture(stream, seq, kind, (x, y), image) for kind, x, y, image in rows]

    def last_seq(self, stream: str) -> int:
        """The defect whose pictures were written last; 0 where none were.

        Pictures are written in the order of the events, so those of a defect before it that are
        not there will not come.

        Raises:
            StorageError: the file cannot be read.
        """
        with as_storage_error(self.path):
            row = self._database.execute(
                "SELECT seq, stream FROM picture ORDER BY number DESC LIMIT 1"
            ).fetchone()
        return row[0] if row and row[1] == stream else 0

    def keep(self, bytes_max: float) -> None:
        """Remove some of the oldest pictures while they take more than `bytes_max`.

        Raises:
            StorageError: the file cannot be written.
        """
        with as_storage_error(self.path):
            (pages,) = self._database.execute("PRAGMA page_count").fetchone()
            (free_pages,) = self._database.execute("PRAGMA freelist_count").fetchone()
            (page_bytes,) = self._database.execute("PRAGMA page_size").fetchone()
            if (pages - free_pages) * page_bytes > bytes_max:
                self._database.execute(
                    "DELETE FROM picture WHERE number IN "
                    "(SELECT number FROM picture ORDER BY number LIMIT ?)",
                    (REMOVED_AT_ONCE,),
                )

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._database.close()
