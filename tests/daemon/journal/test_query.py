"""Questions to a journal: by number, strip, type and time, in pages of bounded work."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.journal.conftest import record

from stripwatch.journal.query import PAGE_ROWS, Query, find
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.records import EventRecord, Transaction
from stripwatch.journal.store import Journal

SEED = 5
EVENTS = 3 * PAGE_ROWS + 7


@pytest.fixture(scope="module")
def records() -> list[EventRecord]:
    """Two strips, three types; many events share a time, and once the clock is set back."""
    print("seed", SEED)
    chance = random.Random(SEED)
    made = []
    for seq in range(1, EVENTS + 1):
        t_ns = 1000 + seq // 50 - (40 if seq > EVENTS // 2 else 0)
        kind = chance.choice(("defect", "gap", "strip_start"))
        strip = chance.choice(("coil-7", "coil-8", None))
        made.append(record(seq)._replace(t_ns=t_ns, type=kind, strip=strip))
    return made


@pytest.fixture(scope="module")
def reader(
    tmp_path_factory: pytest.TempPathFactory, records: list[EventRecord]
) -> Iterator[JournalReader]:
    folder: Path = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    journal.append(Transaction(records))
    with JournalReader(folder) as made:
        yield made
    journal.close()


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(after_seq=EVENTS - 3),
        Query(after_seq=EVENTS + 5),
        Query(types=("gap", "strip_start")),
        Query(types=("none",)),
        Query(strip="coil-8", after_seq=100),
        Query(strip="coil-9"),
        Query(from_ns=1030),
        Query(to_ns=1010, after_seq=70),
        Query(from_ns=1020, to_ns=1021),
        Query(from_ns=1050, to_ns=1020),
        Query(strip="coil-7", from_ns=1020, to_ns=1090, types=("defect",), after_seq=2000),
    ],
)
def test_each_question_finds_each_of_its_events_once(
    reader: JournalReader, records: list[EventRecord], query: Query
) -> None:
    """In order, and in pages that look at few rows."""
    expected = [
        one.seq
        for one in records
        if one.seq > query.after_seq
        and query.strip in {None, one.strip}
        and (not query.types or one.type in query.types)
        and (query.from_ns is None or one.t_ns >= query.from_ns)
        and (query.to_ns is None or one.t_ns < query.to_ns)
    ]
    pages = list(find(reader, query))
    found = [event.seq for page in pages for event in page]
    if query.strip is None and (query.from_ns or query.to_ns):
        expected.sort(key=lambda seq: (records[seq - 1].t_ns, seq))
    assert found == expected
    assert all(len(page) <= PAGE_ROWS for page in pages)


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (Query(after_seq=5), "SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"),
        (Query(strip="a", to_ns=5), "USING INDEX event_of_strip (strip=? AND rowid>?)"),
        (Query(from_ns=1), "USING INDEX event_at_time"),
        (Query(to_ns=1), "USING INDEX event_at_time"),
    ],
)
def test_no_question_looks_at_the_whole_journal_or_sorts(
    reader: JournalReader, query: Query, plan: str
) -> None:
    """By SQLite's own plan."""
    asked: list[str] = []
    reader._database.set_trace_callback(asked.append)
    list(find(reader, query))
    reader._database.set_trace_callback(None)
    (row,) = reader.rows(f"EXPLAIN QUERY PLAN {asked[0]}")
    assert plan in row[3]
