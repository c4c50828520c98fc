"""A journal with events, for the tests of its parts."""

from __future__ import annotations

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
