"""A large journal: time to open it, and to answer questions by number, strip and time.

Its payloads are small, so that the number of events decides and not the disk. Questions go to
places at random; much of the file is in the machine's memory, as it is on a line computer.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from stripwatch.journal.query import Query, find
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import FILE, Journal
from stripwatch.lab.bench.batches import percentiles
from stripwatch.lab.bench.figures import Figures, goal_row

SEED = 11
QUESTIONS = 200  # of each kind
EVENTS_PER_STRIP = 20_000
PERIOD_NS = 10_000_000  # between two events
PAYLOAD_BYTES = 100
PART_EVENTS = 200_000  # in one transaction
ANSWER_MS_MAX = 10.0
START_S_MAX = 2.0


def large_journal(events: int) -> tuple[Figures, list[Figures]]:
    """Measure how long a journal of so many events takes to open, and to answer with a page.

    Returns figures, and rows of goals.
    """
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as name:
        folder = Path(name)
        _fill(folder, events)
        size = (folder / FILE).stat().st_size
        started_s = time.perf_counter()
        with closing(Journal(folder)) as journal:
            journal.past()
            start_s = time.perf_counter() - started_s
        with JournalReader(folder) as reader:
            answers_ms = {
                kind: percentiles([_ask(reader, query) for query in queries])
                for kind, queries in _questions(events).items()
            }
    slowest_ms = max(row["p99"] for row in answers_ms.values())
    figures: Figures = {
        "events": events,
        "file_mb": round(size / 1e6),
        "start_s": round(start_s, 3),
        "answers_ms": answers_ms,
    }
    return figures, [
        goal_row(
            1,
            f"start on {events} events",
            f"<= {START_S_MAX:g} s",
            f"{start_s:.3f} s",
            met=start_s <= START_S_MAX,
        ),
        goal_row(
            1,
            "p99 of its answers",
            f"<= {ANSWER_MS_MAX:g} ms",
            f"{slowest_ms:.1f} ms",
            met=slowest_ms <= ANSWER_MS_MAX,
        ),
    ]


def _fill(folder: Path, events: int) -> None:
    """Make a journal of defects, by statements of SQLite's own: a hundred times quicker."""
    Journal(folder).close()
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        for first in range(1, events + 1, PART_EVENTS):
            database.execute(
                "INSERT INTO event WITH RECURSIVE number (seq) AS "
                "(SELECT ? UNION ALL SELECT seq + 1 FROM number WHERE seq < ?) "
                "SELECT seq, 'defect', 'defect.bench.pits', seq * ?, 'bench', "
                "'coil-' || (seq / ?), seq * 1.5, 'pits', randomblob(?) FROM number",
                (
                    first,
                    min(first + PART_EVENTS - 1, events),
                    PERIOD_NS,
                    EVENTS_PER_STRIP,
                    PAYLOAD_BYTES,
                ),
            )


def _questions(events: int) -> dict[str, list[Query]]:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    places = [chance.randrange(events) for _ in range(QUESTIONS)]
    return {
        "by number": [Query(after_seq=seq) for seq in places],
        "by strip": [Query(strip=f"coil-{seq // EVENTS_PER_STRIP}") for seq in places],
        "by time": [
            Query(from_ns=seq * PERIOD_NS, to_ns=(seq + 1000) * PERIOD_NS) for seq in places
        ],
    }


def _ask(reader: JournalReader, query: Query) -> float:
    """Time to the first page, in ms."""
    started_s = time.perf_counter()
    page = next(find(reader, query))
    assert page
    return (time.perf_counter() - started_s) * 1000
