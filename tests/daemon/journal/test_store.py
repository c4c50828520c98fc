"""The journal's writer: transactions whole or not at all, one daemon at a time, no foreign file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon.journal.conftest import record

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Account
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.records import CoverageRecord, Transaction
from stripwatch.journal.schema import APPLICATION_ID, IS_RARE, MIGRATIONS, SCHEMA
from stripwatch.journal.store import FILE, Journal
from stripwatch.wire.causes import Cause

TALLY = b'{"strip":"coil-7","session":"s","frame_seq":3,"t_ns":1}'


def coverage(last_seq: int) -> dict[tuple[str, str], CoverageRecord]:
    account = Account("s", 3, last_seq, inspected=last_seq - 4)
    account.missed[Cause.LOST] = 2
    return {("top", "s"): CoverageRecord("top", account, "coil-7", 2560)}


def test_events_coverage_and_strips_come_back(tmp_path: Path) -> None:
    """A journal that is opened again knows its stream, its last number, and where it stopped."""
    journal = Journal(tmp_path)
    stream = journal.stream
    journal.append(Transaction([record(1)], coverage(9), {"top": TALLY}))
    journal.close()
    again = Journal(tmp_path)
    past = again.past()
    assert (again.stream, again.last_seq) == (stream, 1)
    assert past.coverage == tuple(coverage(9).values())
    assert past.open_strips == {"top": TALLY}
    assert past.is_unclean
    again.append(Transaction(open_strips={"top": None}))
    assert again.past().open_strips == {}
    again.close()


def test_a_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    """Event 10 is there already: neither event 11 nor the coverage beside it stays."""
    with pytest.raises(StorageError):
        journal.append(Transaction([record(11), record(10)], coverage(9)))
    assert journal.last_seq == 10
    assert journal.past().coverage == ()
    journal.append(Transaction([record(11)]))
    with JournalReader(journal.path.parent) as reader:
        assert reader.bounds().last_seq == 11


@pytest.mark.slow
def test_what_append_has_returned_for_survives_kill_9(tmp_path: Path) -> None:
    """A child writes events and prints each number; after SIGKILL all of them are there."""
    code = (
        "import sys; from pathlib import Path; "
        "from stripwatch.journal.store import Journal; "
        "from stripwatch.journal.records import Transaction, EventRecord; "
        f"journal = Journal(Path({str(tmp_path)!r}))\n"
        "for seq in range(journal.last_seq + 1, 10**6):\n"
        "    journal.append(Transaction([EventRecord(seq, 'gap', 'gap.a', 1, None, None, None, "
        "None, b'x' * 800)]))\n"
        "    print(seq, flush=True)\n"
    )
    for _ in range(5):
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            printed = [int(child.stdout.readline()) for _ in range(50)]
            child.send_signal(signal.SIGKILL)
            printed += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        with JournalReader(tmp_path) as reader:
            assert reader.bounds().last_seq >= printed[-1]
            page = reader.since(printed[0] - 1, events_max=10**6, bytes_max=10**9)
        assert [event.seq for event in page.events][: len(printed)] == printed


def test_a_second_writer_is_refused_and_the_lock_ends_with_the_first(journal: Journal) -> None:
    with pytest.raises(StorageError, match=r"journal\.folder"):
        Journal(journal.path.parent)
    journal.close()
    Journal(journal.path.parent).close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database " * 1000, "it is not a journal"),
        (b"SQLite format 3\0" + b"\xff" * 4080, "it is not a journal|it is damaged"),
    ],
)
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """It is left as it is."""
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=words):
        Journal(tmp_path)
    assert path.read_bytes() == content


def test_a_cut_file_is_refused(journal: Journal) -> None:
    """Its header tells of pages that are not there."""
    journal.close()
    os.truncate(journal.path, 3 * 4096)
    with pytest.raises(StorageError, match="it is damaged"):
        Journal(journal.path.parent)


def test_databases_of_others_and_of_newer_programs_are_refused(tmp_path: Path) -> None:
    """A newer journal is refused with the number that it has, and left as it is."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with closing(sqlite3.connect(foreign / "journal.db")) as database:
        database.execute("CREATE TABLE other (x)")
    with pytest.raises(StorageError, match="another program"):
        Journal(foreign)
    newer = tmp_path / "newer"
    Journal(newer).close()
    with closing(sqlite3.connect(newer / "journal.db")) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(StorageError, match=f"schema {SCHEMA + 1}"):
        Journal(newer)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a part of its path is a file"):
        Journal(tmp_path / "file" / "journal")
    with pytest.raises(StorageError, match="the name of its folder is that of a file"):
        Journal(tmp_path / "file")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("DELETE FROM journal", "table journal has 0 rows"),
        ("INSERT INTO coverage VALUES ('top', 's', 0, 1, 1, '{\"x\":1}', NULL, NULL, 1)", "'x'"),
        ("INSERT INTO open_strip VALUES ('top', '{}')", "missing required field"),
        ("DROP TABLE event", "no such table"),
    ],
)
def test_rows_that_cannot_be_read_are_a_sentence(tmp_path: Path, damage: str, reason: str) -> None:
    Journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute(damage)
    with pytest.raises(StorageError, match=reason), closing(Journal(tmp_path)) as journal:
        journal.past()


def test_sessions_that_are_booked_together_come_back_in_their_order(tmp_path: Path) -> None:
    """A session that counts again comes after the one whose name it has taken on."""
    journal = Journal(tmp_path)
    names = ["s", "s-2", "s-10"]
    records = {("top", name): CoverageRecord("top", Account(name, 0, 1, 2)) for name in names}
    journal.append(Transaction(coverage=dict(reversed(records.items()))))
    assert [record.account.session for record in journal.past().coverage] == names
    journal.close()


def test_a_journal_whose_wal_was_removed_loses_nothing(journal: Journal) -> None:
    """It is noticed with the next transaction; what only the lost file had is brought over."""
    (journal.path.parent / f"{FILE}-wal").unlink()
    with pytest.raises(StorageError, match=r"has lost its file journal\.db-wal"):
        journal.append(Transaction([record(11)]))
    journal.reopen()
    assert journal.last_seq == 10
    journal.append(Transaction([record(11)]))
    with JournalReader(journal.path.parent) as reader:
        assert reader.bounds().last_seq == 11


def test_a_journal_of_schema_1_gets_what_is_missing_and_keeps_its_events(tmp_path: Path) -> None:
    """Its stream and numbers go on; an index finds strips and judgements from then on."""
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(
            ";".join(
                [
                    MIGRATIONS[0],
                    "INSERT INTO journal VALUES ('old', 1)",
                    "PRAGMA user_version = 1",
                    f"PRAGMA application_id = {APPLICATION_ID}",
                ]
            )
        )
        database.execute(
            "INSERT INTO event VALUES (1, 'strip_start', 'strip.top', 1, 'top', 'C', 1, '', x'00')"
        )
        database.commit()
    with closing(Journal(tmp_path)) as journal:
        assert journal.end == ("old", 1)
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        query = " ".join(["EXPLAIN QUERY PLAN SELECT * FROM event WHERE type = ? AND", IS_RARE])
        assert "event_of_rare_type" in database.execute(query, ("review",)).fetchone()[3]
