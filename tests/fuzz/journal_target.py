"""The journal's file, damaged: what verifies it and what reads it."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from tests.daemon.inspect.grading.strips import MadeStrip
from tests.daemon.journal.strip_journal import write_journal
from tests.fuzz.target import Case, Target

from stripwatch.errors import StorageError
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import FILE
from stripwatch.journal.verify import verify


def _journals(folder: Path) -> list[Case]:
    made = MadeStrip()
    made.defect(5000, size_mm=(12, 8))
    path = folder / "sound"
    if not path.exists():
        write_journal(path, made)
    return [((path / FILE).read_bytes(),)]


def _keep_length(chance: random.Random, case: Case) -> Case:
    """The length that the file's head states, now and then: SQLite refuses others at once."""
    data = case[0]
    pages = int.from_bytes(data[28:32], "big")
    size = int.from_bytes(data[16:18], "big")
    if chance.random() < 0.9 and size >= 512 and pages * size <= 256 * 1024:
        data = data[: pages * size].ljust(pages * size, b"\0")
    return (data,)


def _read_journal(case: Case, folder: Path) -> bool:
    (folder / FILE).write_bytes(case[0])
    faults = verify(folder / FILE)
    assert all(isinstance(fault, str) for fault in faults)
    with closing(JournalReader(folder)) as reader:
        reader.bounds()
        reader.since(0, events_max=100, bytes_max=100_000)
    return not any("is damaged" in fault for fault in faults)


JOURNAL_TARGETS = (Target("journal", _journals, _read_journal, (StorageError,), 1, _keep_length),)
