"""Reading a journal beside its daemon: pages, topics, bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

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
