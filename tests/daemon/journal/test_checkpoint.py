"""Checkpoints beside the writer: the file grows, the log does not, a removed file stays removed."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

from tests.daemon.journal.conftest import record

from stripwatch.journal.checkpoint import PAGES, Checkpointer
from stripwatch.journal.records import Transaction
from stripwatch.journal.store import Journal


def wait_until_over(file: Path, size: int) -> None:
    until_s = time.monotonic() + 20
    while file.stat().st_size <= size:
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_events_get_into_the_file_without_a_long_commit(tmp_path: Path) -> None:
    """Long before the writer itself would copy them; then all threads end."""
    with closing(Journal(tmp_path)) as journal:
        size = journal.path.stat().st_size
        for first in range(1, 3 * PAGES, 100):
            events = [record(seq, payload=b"x" * 1000) for seq in range(first, first + 100)]
            journal.append(Transaction(events))
        wait_until_over(journal.path, size)
    assert not any(thread.name == "checkpoint" for thread in threading.enumerate())


def test_a_journal_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    """An empty file in its place would be taken for a new journal."""
    checkpointer = Checkpointer(tmp_path / "journal.db")
    for _ in range(3):
        checkpointer.add(PAGES)
        time.sleep(0.05)
    assert checkpointer._thread.is_alive()
    checkpointer.close()
    assert list(tmp_path.iterdir()) == []
