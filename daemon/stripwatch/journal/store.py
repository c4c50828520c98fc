"""The journal's writer. One daemon has it at a time; any number of programs may read beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Account
from stripwatch.inspect.events import StripTally
from stripwatch.journal.faults import MOVE_AWAY, as_storage_error
from stripwatch.journal.records import CoverageRecord, Transaction
from stripwatch.journal.schema import prepare
from stripwatch.wire.causes import Cause

FILE = "journal.db"
LOCK_FILE = "journal.lock"
BUSY_TIMEOUT_S = 1.0  # another program that holds a lock, such as a backup
WAL_PAGES = 4000  # of 4 KiB; SQLite then copies them into the file, which takes a few fsyncs
SESSIONS_KEPT = 16  # of a camera, newest first; as many as inspect/sequence.py remembers


@dataclass(frozen=True, slots=True)
class Past:
    """Where the daemon before this one stopped."""

    coverage: tuple[CoverageRecord, ...]  # the oldest first
    open_strips: dict[str, bytes]  # by camera: the tally as JSON
    is_unclean: bool  # it did not end in order: its last event is not `daemon_stop`


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
            self._lock = _lock(folder / LOCK_FILE)
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

    def reopen(self) -> None:
        """Open the file anew after a fault; where it is gone, a new stream begins.

        Raises:
            StorageError: it cannot be opened or written yet.
        """
        with as_storage_error(self.path):
            self._database.close()
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock_path = self.path.with_name(LOCK_FILE)
            if not _is_at(os.fstat(self._lock.fileno()), lock_path):  # it went with the folder
                lock = _lock(lock_path)
                self._lock.close()
                self._lock = lock
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
                coverage = tuple(_coverage_record(*row) for row in rows)
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
        if not _is_at(self._file, self.path):
            raise StorageError("was moved or removed; a new one is made with the next event")
        if self._wal is not None and not _is_at(self._wal, self._wal_path):
            raise StorageError(f"has lost its file {self._wal_path.name}; leave it beside {FILE}")

    def _write(self, transaction: Transaction) -> None:
        self._database.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", transaction.events
        )
        now_ns = time.time_ns()
        self._database.executemany(
            "INSERT OR REPLACE INTO coverage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_coverage_row(record, now_ns) for record in transaction.coverage.values()],
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


def _is_at(file: os.stat_result, path: Path) -> bool:
    """Whether a path still names a file."""
    try:
        return os.path.samestat(file, path.stat())
    except FileNotFoundError:
        return False


def _lock(path: Path) -> IO[bytes]:
    """Hold a lock file open; the lock ends with the process, however that ends.

    Raises:
        StorageError: another process holds it.
        OSError: it cannot be opened.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StorageError(
            "belongs to another daemon that runs; give each a folder of its own (journal.folder)"
        ) from None
    return file


def _coverage_row(record: CoverageRecord, now_ns: int) -> tuple[object, ...]:
    account = record.account
    return (
        record.camera,
        account.session,
        account.first_seq,
        account.last_seq,
        account.inspected,
        msgspec.json.encode(account.missed).decode(),
        record.strip,
        record.line_end,
        now_ns,
    )


def _coverage_record(
    camera: str,
    session: str,
    first_seq: int,
    last_seq: int,
    inspected: int,
    missed: str,
    strip: str | None,
    line_end: int | None,
) -> CoverageRecord:
    counts = msgspec.json.decode(missed, type=dict[Cause, int])
    account = Account(session, first_seq, last_seq, inspected)
    account.missed.update(counts)
    return CoverageRecord(camera, account, strip, line_end)
