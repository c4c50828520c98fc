"""The journal's writer. One daemon has it at a time; any number of programs may read beside it."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.errors import StorageError
from stripwatch.inspect.events import StripTally
from stripwatch.journal.faults import MOVE_AWAY, as_storage_error
from stripwatch.journal.lock import is_at, lock
from stripwatch.journal.records import CoverageRecord, Transaction, coverage_record, coverage_row
from stripwatch.journal.schema import prepare

FILE = "journal.db"
LOCK_FILE = "journal.lock"
BUSY_TIMEOUT_S = 1.0  # another program that holds a lock, such as a backup
# Of 4 KiB; a commit then copies them into the file. At 10,000 events/s a thread of its own for it
# did not help: its fsyncs delay those of the commits. 1000 pages copy too often.
WAL_PAGES = 4000
SESSIONS_KEPT = 16  # of a camera, newest first; as many as inspect/sequence.py remembers


@dataclass(frozen=True, slots=True)
class Past:
    """Where the daemon before this one stopped."""

    coverage: tuple[CoverageRecord, ...]  # the oldest first
    open_strips: dict[str, bytes]  # by camera: the tally as JSON
    is_unclean: bool  # it did not end in order: its last event is not `daemon_stop`


@dataclass(frozen=True, slots=True)
class Extent:
    """What a journal holds. All zero where it is empty, apart from its bytes."""

    first_seq: int  # of the oldest event
    first_t_ns: int  # when that was journalled, Unix time
    last_seq: int  # of the newest
    used_bytes: int  # of the file; what removed events have left free is not counted

    @property
    def events(self) -> int:
        """Their number: there is no hole."""
        return self.last_seq - self.first_seq + 1 if self.last_seq else 0


class Journal:
    """Appends transactions; belongs to one thread after it was made.

    A transaction is on the disk when `append` returns (synchronous=FULL): it survives kill -9 and
    a power cut.
    """

    def __init__(self, folder: Path) -> None:
        """Lock the folder and open the journal in it; both are made where they are missing.

        Raises:
            StorageError: another daemon has it, or it cannot be opened or written.
        """
        self.path = folder / FILE
        self._wal_path = folder / f"{FILE}-wal"
        self._wal: os.stat_result | None  # from the first transaction on
        self._database: sqlite3.Connection
        self.stream: str
        self.last_seq: int  # of the newest event
        with as_storage_error(self.path):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = lock(folder / LOCK_FILE)
            try:
                self._open()
            except BaseException:
                self._lock.close()
                raise

    @property
    def end(self) -> tuple[str, int]:
        """The stream, and the number of its newest event."""
        return self.stream, self.last_seq

    def append(self, transaction: Transaction) -> None:
        """Write a transaction whole.

        Raises:
            StorageError: nothing of it was written.
        """
        with as_storage_error(self.path):
            self._check_in_place()
            database = self._database
            database.execute("BEGIN IMMEDIATE")
            try:
                self._write(transaction)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            if self._wal is None:
                self._wal = self._wal_path.stat()
        if transaction.events:
            self.last_seq = transaction.events[-1].seq

    def extent(self) -> Extent:
        """What the journal holds.

        Raises:
            StorageError: it cannot be read.
        """
        with as_storage_error(self.path):
            pages, free, page_bytes = (
                self._database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            first = self._database.execute(
                "SELECT seq, t_ns FROM event ORDER BY seq LIMIT 1"
            ).fetchone()
        first_seq, first_t_ns = first or (0, 0)
        return Extent(first_seq, first_t_ns, self.last_seq, (pages - free) * page_bytes)

    def before(self, t_ns: int, through_seq: int) -> int:
        """Number of the last event of those up to `through_seq` that all are older than a time.

        Less than the oldest's number where that one is not. A clock that was set back leaves
        younger events before older ones: the older stay until the younger are old enough.

        Raises:
            StorageError: the journal cannot be read.
        """
        with as_storage_error(self.path):
            # In the order of the numbers; the index by time would look at all events.
            row = self._database.execute(
                "SELECT seq FROM event NOT INDEXED WHERE seq <= ? AND t_ns >= ? "
                "ORDER BY seq LIMIT 1",
                (through_seq, t_ns),
            ).fetchone()
        return row[0] - 1 if row else through_seq

    def remove(self, through_seq: int) -> None:
        """Remove the events up to a number, but never the newest: numbers go on from it.

        Raises:
            StorageError: nothing was removed.
        """
        with as_storage_error(self.path):
            self._database.execute(
                "DELETE FROM event WHERE seq <= ?", (min(through_seq, self.last_seq - 1),)
            )

    def remove_coverage(self, before_ns: int) -> None:
        """Remove coverage booked before a time, apart from a camera's `SESSIONS_KEPT` newest.

        Raises:
            StorageError: nothing was removed.
        """
        with as_storage_error(self.path):
            self._database.execute(
                "DELETE FROM coverage WHERE (camera, session) IN (SELECT camera, session FROM "
                "(SELECT *, row_number() OVER (PARTITION BY camera ORDER BY t_ns DESC) AS age "
                "FROM coverage) WHERE age > ? AND t_ns < ?)",
                (SESSIONS_KEPT, before_ns),
            )

    def compact(self) -> None:
        """Give the space of removed events back to the disk; takes long, and that space anew.

        Raises:
            StorageError: the disk has no room for it, or another program reads the journal.
        """
        with as_storage_error(self.path):
            self._database.execute("VACUUM")

    def reopen(self) -> None:
        """Open the file anew after a fault; where it is gone, a new stream begins.

        Raises:
            StorageError: it cannot be opened or written yet.
        """
        with as_storage_error(self.path):
            self._database.close()
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock_path = self.path.with_name(LOCK_FILE)
            if not is_at(os.fstat(self._lock.fileno()), lock_path):  # it went with the folder
                fresh = lock(lock_path)
                self._lock.close()
                self._lock = fresh
            self._open()

    def settle(self) -> None:
        """Bring what the journal seems to have to the disk once more, after a fault.

        Linux reports a failed fsync once and then forgets it: only writing anew helps.

        Raises:
            StorageError: it may not be on the disk yet.
        """
        with as_storage_error(self.path):
            is_busy, *_ = self._database.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if is_busy:
            raise StorageError(
                f"journal {self.path}: a reader keeps it busy after a fault of the disk"
            )

    def past(self) -> Past:
        """Where the daemon before this one stopped.

        Raises:
            StorageError: the journal cannot be read.
        """
        with as_storage_error(self.path):
            rows = self._database.execute(
                "SELECT camera, session, first_seq, last_seq, inspected, missed, strip, line_end "
                "FROM (SELECT *, row_number() OVER (PARTITION BY camera ORDER BY t_ns DESC) AS age "
                # Of those booked together the names tell: "s-2" comes after "s".
                "FROM coverage) WHERE age <= ? ORDER BY t_ns, length(session), session",
                (SESSIONS_KEPT,),
            ).fetchall()
            strips = dict(self._database.execute("SELECT camera, tally FROM open_strip").fetchall())
            last = self._database.execute(
                "SELECT type FROM event ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            try:
                coverage = tuple(coverage_record(*row) for row in rows)
                for tally in strips.values():
                    msgspec.json.decode(tally, type=StripTally)
            except msgspec.DecodeError as error:
                raise StorageError(f"is damaged: {error}; {MOVE_AWAY}") from error
        return Past(
            coverage=coverage,
            open_strips={camera: tally.encode() for camera, tally in strips.items()},
            is_unclean=last is not None and last[0] != "daemon_stop",
        )

    def close(self) -> None:
        """Close the file and give the folder free; closing twice is allowed."""
        self._database.close()
        self._lock.close()

    def _open(self) -> None:
        database = sqlite3.connect(
            self.path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            prepare(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            # Some builds overwrite what is removed with zeros, which writes each page once more.
            database.execute("PRAGMA secure_delete = OFF")
            database.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            self.stream = _stream(database)
            (last_seq,) = database.execute("SELECT max(seq) FROM event").fetchone()
        except BaseException:
            database.close()
            raise
        self.last_seq = last_seq or 0
        self._file = self.path.stat()
        self._wal = None
        self._database = database

    def _check_in_place(self) -> None:
        """Files that were removed can still be written, but nobody would ever read them."""
        if not is_at(self._file, self.path):
            raise StorageError("was moved or removed; a new one is made with the next event")
        if self._wal is not None and not is_at(self._wal, self._wal_path):
            raise StorageError(f"has lost its file {self._wal_path.name}; leave it beside {FILE}")

    def _write(self, transaction: Transaction) -> None:
        self._database.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", transaction.events
        )
        now_ns = time.time_ns()
        self._database.executemany(
            "INSERT OR REPLACE INTO coverage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [coverage_row(record, now_ns) for record in transaction.coverage.values()],
        )
        for camera, tally in transaction.open_strips.items():
            if tally is None:
                self._database.execute("DELETE FROM open_strip WHERE camera = ?", (camera,))
            else:
                self._database.execute(
                    "INSERT OR REPLACE INTO open_strip VALUES (?, ?)", (camera, tally.decode())
                )


def _stream(database: sqlite3.Connection) -> str:
    streams = database.execute("SELECT stream FROM journal").fetchall()
    if len(streams) != 1:
        raise StorageError(f"is damaged: table journal has {len(streams)} rows; {MOVE_AWAY}")
    return str(streams[0][0])
