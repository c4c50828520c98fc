"""Retention: what is beyond a limit goes, what a reader has not read stays, numbers go on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.daemon.journal.conftest import record

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Account
from stripwatch.journal.positions import FILE, Positions
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.records import CoverageRecord, Transaction
from stripwatch.journal.retention import ROWS_PER_TURN, Limits, Retention
from stripwatch.journal.store import SESSIONS_KEPT, Journal

DAY_NS = 86400 * 10**9
FAR = 1e18
EMPTY_BYTES = 64_000  # more than the tables take without events


def append(journal: Journal, events: int, age_days: float = 0) -> None:
    """Append so many events of 1 kB, journalled so many days ago."""
    t_ns = time.time_ns() - int(age_days * DAY_NS)
    first = journal.last_seq + 1
    records = [record(seq, payload=b"x" * 1000) for seq in range(first, first + events)]
    journal.append(Transaction([one._replace(t_ns=t_ns) for one in records]))


def turns(retention: Retention) -> int:
    """Turns until nothing more is due."""
    count = 1
    while retention.turn():
        count += 1
    return count


def bounds(journal: Journal) -> tuple[int, int]:
    with JournalReader(journal.path.parent) as reader:
        found = reader.bounds()
    return found.first_seq, found.last_seq


def lost(lines: list[MutableMapping[str, Any]]) -> list[tuple[str, int, int]]:
    return [
        (line["reader"], line["first_seq"], line["last_seq"])
        for line in lines
        if line["event"].startswith("lost")
    ]


def test_the_oldest_events_beyond_a_size_are_removed_in_small_turns(tmp_path: Path) -> None:
    """Not more of them than needed, and never too many in one transaction."""
    with closing(Journal(tmp_path)) as journal:
        append(journal, 5000)
        retention = Retention(journal, Limits(2e6, FAR, FAR))
        first_seq = 1
        while retention.turn():
            removed = journal.extent().first_seq - first_seq
            assert 0 < removed <= ROWS_PER_TURN
            first_seq += removed
        assert 1.8e6 < journal.extent().used_bytes <= 2e6
        assert bounds(journal) == (first_seq, 5000)
        size = journal.path.stat().st_size
        append(journal, 2000)  # what was removed makes room: the file does not grow
        assert journal.path.stat().st_size == size


def test_events_beyond_an_age_are_removed_and_no_younger_one(tmp_path: Path) -> None:
    """A clock that was set back leaves a young event before old ones: all of them stay."""
    with closing(Journal(tmp_path)) as journal:
        for events, age_days in ((10, 30), (10, 9), (5, 3), (5, 20)):
            append(journal, events, age_days)
        turns(Retention(journal, Limits(FAR, 8 * DAY_NS, FAR)))
        assert bounds(journal) == (21, 30)


def test_a_clock_that_jumps_ahead_does_not_empty_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it for a day; then the new time is believed. Sizes count all the while."""
    with closing(Journal(tmp_path)) as journal:
        append(journal, 3000)
        retention = Retention(journal, Limits(2.5e6, 8 * DAY_NS, FAR))
        real_ns, real_s = time.time_ns, time.time
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + 400 * DAY_NS)
        monkeypatch.setattr(time, "time", lambda: real_s() + 400 * 86400)
        with capture_logs() as lines:
            turns(retention)
            turns(retention)
        assert [line["event"].split(";")[0] for line in lines] == ["the clock was set"]
        assert 2.3e6 < journal.extent().used_bytes <= 2.5e6
        monotonic_s = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: monotonic_s() + 86401)
        monkeypatch.setattr(time, "time", lambda: real_s() + 401 * 86400)
        turns(retention)
        assert bounds(journal) == (3000, 3000)


def test_the_newest_event_stays_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        append(journal, 3000, age_days=365)
        stream = journal.stream
        turns(Retention(journal, Limits(1, 1, 1)))
        assert bounds(journal) == (3000, 3000)
    with closing(Journal(tmp_path)) as journal:
        assert (journal.stream, journal.last_seq) == (stream, 3000)
        append(journal, 1)
        assert bounds(journal) == (3000, 3001)


def test_an_empty_journal_has_nothing_to_remove(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        assert not Retention(journal, Limits(1, 1, 1)).turn()


def test_what_a_reader_has_not_read_stays_and_that_is_logged_once(tmp_path: Path) -> None:
    """Also where it is too old; a reader of another stream keeps nothing."""
    with closing(Journal(tmp_path)) as journal, closing(Positions(tmp_path)) as positions:
        append(journal, 3000, age_days=365)
        positions.set("press", journal.stream, 2000)
        positions.set("yard", journal.stream, 2500)
        positions.set("other", "a journal of last year", 1)
        retention = Retention(journal, Limits(EMPTY_BYTES, DAY_NS, FAR))
        with capture_logs() as lines:
            turns(retention)
            turns(retention)
        assert bounds(journal) == (2001, 3000)
        assert [line["reader"] for line in lines] == ["press", "yard"]
        positions.forget("press")
        turns(Retention(journal, Limits(EMPTY_BYTES, DAY_NS, FAR)))
        assert bounds(journal) == (2501, 3000)


def test_beyond_the_second_limit_a_slow_reader_loses_events_and_the_log_names_it(
    tmp_path: Path,
) -> None:
    """Every event that it has lost is in exactly one line; a reader that was in time is in none."""
    with closing(Journal(tmp_path)) as journal, closing(Positions(tmp_path)) as positions:
        append(journal, 5000)
        positions.set("slow", journal.stream, 7)
        positions.set("prompt", journal.stream, 4990)
        retention = Retention(journal, Limits(EMPTY_BYTES, FAR, 3e6))
        with capture_logs() as lines:
            assert turns(retention) > 2
            retention.finish()
        first_seq, last_seq = bounds(journal)
        assert last_seq == 5000
        assert 2.8e6 < journal.extent().used_bytes <= 3e6
        ranges = [(first, last) for name, first, last in lost(lines) if name == "slow"]
        assert len(ranges) == len(lost(lines)) == 2  # the first at once, the rest together
        assert ranges[0][0] == 8
        assert ranges[1] == (ranges[0][1] + 1, first_seq - 1)


def test_positions_that_cannot_be_read_keep_events_up_to_the_second_limit(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        append(journal, 5000)
        (tmp_path / FILE).write_bytes(b"no database " * 1000)
        with capture_logs() as lines:
            turns(Retention(journal, Limits(EMPTY_BYTES, FAR, FAR)))
            assert bounds(journal) == (1, 5000)
            turns(Retention(journal, Limits(EMPTY_BYTES, FAR, 3e6)))
        assert 2.8e6 < journal.extent().used_bytes <= 3e6
        assert lines[0]["event"].startswith("positions of readers cannot be read")
        assert lost(lines)[0][0] == "unknown"


def test_coverage_of_old_sessions_goes_and_that_of_the_latest_stays(tmp_path: Path) -> None:
    """Of each camera `SESSIONS_KEPT` stay, however old; younger ones than the events do, too."""
    with closing(Journal(tmp_path)) as journal:
        for number in range(SESSIONS_KEPT + 5):
            for camera in ("top", "bottom")[: 1 if number < 7 else 2]:
                account = Account(f"s{number:02}", 0, 9, 10)
                key = (camera, account.session)
                journal.append(Transaction(coverage={key: CoverageRecord(camera, account)}))
        append(journal, 3000, age_days=-1)  # younger than all of this coverage
        turns(Retention(journal, Limits(EMPTY_BYTES, FAR, FAR)))
        with closing(sqlite3.connect(journal.path)) as database:
            rows = database.execute("SELECT camera, session FROM coverage ORDER BY 1, 2").fetchall()
        assert rows == [
            *(("bottom", f"s{number:02}") for number in range(7, SESSIONS_KEPT + 5)),
            *(("top", f"s{number:02}") for number in range(5, SESSIONS_KEPT + 5)),
        ]


def test_a_turn_that_fails_is_an_error_and_removes_nothing(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        append(journal, 3000)
        journal._database.execute("PRAGMA query_only = ON")
        retention = Retention(journal, Limits(1, FAR, FAR))
        with pytest.raises(StorageError, match="read-only"):
            retention.turn()
        with capture_logs() as lines:
            retention.keep_up()
        assert [line["event"] for line in lines] == ["old events cannot be removed"]
        assert bounds(journal) == (1, 3000)
