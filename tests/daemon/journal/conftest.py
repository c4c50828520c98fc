"""A journal with events, for the tests of its parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripwatch.journal.records import EventRecord, Transaction
from stripwatch.journal.store import Journal


def record(seq: int, topic: str = "defect.top.pits", payload: bytes = b"{}") -> EventRecord:
    return EventRecord(seq, "defect", topic, 1000 + seq, "top", "coil-7", 1.5, "pits", payload)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Events 1 to 10, those with an even number are gaps."""
    made = Journal(tmp_path / "journal")
    topics = ("gap.top", "defect.top.pits")
    made.append(Transaction([record(seq, topics[seq % 2], b"x" * 10) for seq in range(1, 11)]))
    yield made
    made.close()


def damage(database: sqlite3.Connection, column: str) -> None:
    """Set a column of event 3 to NULL though the table forbids it, as a damaged disk may.

    SQLite checks values when it writes them, and not when it reads them.
    """
    database.execute("PRAGMA writable_schema = ON")
    (sql,) = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'event'").fetchone()
    change = f"UPDATE event SET {column} = NULL WHERE seq = 3"  # noqa: S608 - a name of a test
    lax = sql.replace(" NOT NULL", "").replace(" STRICT", "")
    for text, statement in ((lax, change), (sql, "SELECT 1")):
        database.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'event'", (text,))
        database.execute("PRAGMA writable_schema = RESET")  # reads it anew
        database.execute("PRAGMA writable_schema = ON")
        database.execute(statement)
