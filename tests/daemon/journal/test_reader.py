"""Reading a journal beside its daemon: pages, topics, bounds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon.journal.conftest import damage

from stripwatch.errors import StorageError
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import Journal


def test_pages_hold_every_event_of_their_topics_once(journal: Journal) -> None:
    """Page after page from `through_seq`, however small."""
    for topics, expected in ((("",), 10), (("gap",), 5), (("defect.top", "gap"), 10), (("x",), 0)):
        for events_max, bytes_max in ((1, 100), (3, 25), (100, 1)):
            seq, found = 0, []
            with JournalReader(journal.path.parent) as reader:
                while seq < 10:
                    page = reader.since(
                        seq, topics=topics, events_max=events_max, bytes_max=bytes_max
                    )
                    assert page.through_seq > seq
                    found += [event.seq for event in page.events]
                    seq = page.through_seq
            assert len(found) == expected
            assert found == sorted(set(found))


def test_a_reader_sees_what_is_written_meanwhile_and_its_bounds(journal: Journal) -> None:
    with JournalReader(journal.path.parent) as reader:
        bounds = reader.bounds()
        assert (bounds.stream, bounds.first_seq, bounds.last_seq) == (journal.stream, 1, 10)
        assert reader.since(10, events_max=10, bytes_max=10).through_seq == 10


def test_a_missing_journal_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        JournalReader(tmp_path)


@pytest.mark.parametrize("column", ["topic", "payload"])
def test_a_damaged_row_is_a_sentence(journal: Journal, column: str) -> None:
    """Found by fuzzing: no traceback of what a damaged disk has left."""
    folder = journal.path.parent
    journal.close()
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as database:
        damage(database, column)
    with JournalReader(folder) as reader:
        assert reader.since(3, events_max=10, bytes_max=1000).through_seq == 10
        with pytest.raises(StorageError, match="is damaged; see what is wrong with"):
            reader.since(0, events_max=10, bytes_max=1000)


def test_a_journal_without_its_stream_is_a_sentence(journal: Journal) -> None:
    folder = journal.path.parent
    journal.close()
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as database:
        database.execute("DELETE FROM journal")
    with (
        JournalReader(folder) as reader,
        pytest.raises(StorageError, match="is damaged; see what is wrong with"),
    ):
        reader.bounds()


def test_a_damaged_name_of_a_table_is_a_sentence(journal: Journal) -> None:
    """SQLite quotes it in its message, which then is no UTF-8."""
    folder = journal.path.parent
    journal.close()
    content = journal.path.read_bytes()
    assert content.count(b"CREATE TABLE coverage") == 1
    journal.path.write_bytes(
        content.replace(b"CREATE TABLE coverage", b"CREATE TABLE\xff\xffoverage")
    )
    with pytest.raises(StorageError, match="is damaged; see what is wrong with"):
        JournalReader(folder)
