"""The journal's readers: read-only beside the daemon that writes it, in any process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stripwatch.errors import StorageError
from stripwatch.journal.faults import DAMAGED, as_storage_error
from stripwatch.journal.schema import check
from stripwatch.journal.store import FILE

BUSY_TIMEOUT_S = 1.0
SCANNED_MAX = 20_000  # rows that one page looks at, where few are of the topics asked for


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which events a journal holds."""

    stream: str
    first_seq: int  # of the oldest event that retention has left; 1 in an empty journal
    last_seq: int  # of the newest; 0 in an empty journal


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was published."""

    seq: int
    topic: str
    t_ns: int  # when it was journalled, Unix time
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, and how far they were looked for."""

    events: tuple[StoredEvent, ...]
    through_seq: int  # all events of the topics up to here are in this page or one before it


class JournalReader:
    """A connection that only reads; belongs to one thread."""

    def __init__(self, folder: Path) -> None:
        """Open the journal of a folder.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        self.path = folder / FILE
        with as_storage_error(self.path):
            if not self.path.is_file():
                raise StorageError("does not exist; a daemon makes it when it starts")
            uri = f"{self.path.resolve().as_uri()}?mode=ro"
            self._database = sqlite3.connect(
                uri, BUSY_TIMEOUT_S, isolation_level=None, uri=True, check_same_thread=False
            )
            try:
                schema = check(self._database)
            except BaseException:
                self._database.close()
                raise
            if not schema:
                self._database.close()
                raise StorageError("is empty: no daemon has written to it")

    def bounds(self) -> Bounds:
        """The stream, and the first and last number in it.

        Raises:
            StorageError: the journal cannot be read.
        """
        with as_storage_error(self.path):
            row = self._database.execute("SELECT stream FROM journal").fetchone()
            if row is None or not isinstance(row[0], str):
                raise StorageError(DAMAGED)
            # One aggregate for each query: only then does SQLite look up one end of the key.
            (first_seq,) = self._database.execute("SELECT min(seq) FROM event").fetchone()
            (last_seq,) = self._database.execute("SELECT max(seq) FROM event").fetchone()
        return Bounds(row[0], first_seq or 1, last_seq or 0)

    def since(
        self, seq: int, *, topics: Sequence[str] = ("",), events_max: int, bytes_max: int
    ) -> Page:
        """The events after number `seq`.

        Args:
            seq: of the last event that is known.
            topics: prefixes; events of other topics are left out.
            events_max: at most so many events.
            bytes_max: at most so many bytes of payload, but at least one event.

        Raises:
            StorageError: the journal cannot be read.
        """
        prefixes = tuple(topics)
        events: list[StoredEvent] = []
        through_seq, size = seq, 0
        with as_storage_error(self.path):
            rows = self._database.execute(
                "SELECT seq, topic, t_ns, payload FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
                (seq, max(events_max, SCANNED_MAX)),
            )
            for row in rows:
                # SQLite checks what it writes, and not what it reads.
                if not (isinstance(row[1], str) and isinstance(row[3], bytes)):
                    raise StorageError(DAMAGED)
                if row[1].startswith(prefixes):
                    size += len(row[3])
                    if events and (size > bytes_max or len(events) == events_max):
                        break
                    events.append(StoredEvent(*row))
                through_seq = row[0]
        return Page(tuple(events), through_seq)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside belongs together, whatever is written or removed meanwhile.

        Raises:
            StorageError: the journal cannot be read.
        """
        with as_storage_error(self.path):
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT finds. It should be quick: meanwhile the journal's file only grows.

        Raises:
            StorageError: the journal cannot be read.
        """
        with as_storage_error(self.path):
            return self._database.execute(sql, tuple(parameters)).fetchall()

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
