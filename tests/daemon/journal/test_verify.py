"""A sound journal passes; whatever is changed in it is named, with its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.daemon.journal.conftest import damage

from stripwatch.engines.fake import PAINT
from stripwatch.errors import StorageError
from stripwatch.journal.store import FILE
from stripwatch.journal.verify import faults_in, verify
from stripwatch.testing import fake_line


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of a line: two strips, the second open; lost frames, defects, two sessions."""
    path = tmp_path_factory.mktemp("journal") / FILE
    defective = np.zeros((8, 32), np.uint8)
    defective[2:5, 4:9] = PAINT + 1
    with fake_line() as line:
        for seq in (0, 1, 4, 5, 9):
            strip, end = ("first", seq == 5) if seq < 9 else ("second", False)
            line.camera.send("top", "s", seq, defective, strip=strip, line=8 * seq, end=end)
        line.wait_for_frame("top", "s", 9)
        line.camera.send("top", "t", 2, strip="second")
        line.wait_for_frame("top", "t", 2)
        journal = Path(line.pipeline._journal.path)
        line.pipeline.stop()
        line.pipeline.join(20)
        with closing(sqlite3.connect(journal)) as source, closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
    return path


@pytest.fixture
def database(sound: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the sound journal that may be changed."""
    with (
        closing(sqlite3.connect(sound)) as source,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as copy,
    ):
        source.backup(copy)
        yield copy


def test_a_sound_journal_has_no_faults(sound: Path) -> None:
    assert verify(sound) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM event WHERE seq = 4", "events 4 to 4 are missing"),
        ("UPDATE event SET payload = x'7B' WHERE seq = 3", "event 3: its payload is no event"),
        ("UPDATE event SET topic = 'x' WHERE seq = 3", "event 3: column topic is 'x'"),
        ("UPDATE event SET camera = NULL WHERE seq = 3", "event 3: column camera is None"),
        ("UPDATE event SET downweb_mm = 1 WHERE seq = 3", "event 3: column downweb_mm is 1.0"),
        ("UPDATE journal SET stream = 'x'", "event 1: it is of stream"),
        ("DELETE FROM journal", "table journal has 0 rows"),
        ("UPDATE coverage SET inspected = 9", "9 inspected and 5 missed are not the 10 frames"),
        ("UPDATE coverage SET missed = '{\"overload\":5}'", "missed as lost, but the gaps have 5"),
        ("UPDATE coverage SET missed = 'x'", "session s: missed cannot be read"),
        ("UPDATE coverage SET last_seq = 3", "it ends at frame 3, an event names frame 9"),
        ("DELETE FROM coverage", "session t: missing, though events are of it"),
        ("DELETE FROM open_strip", "top: none, but the events leave strip second open"),
        (
            "UPDATE open_strip SET tally = json_set(tally, '$.strip', 'x')",
            "strip x, but the events leave strip second open",
        ),
        (
            "UPDATE open_strip SET tally = json_set(tally, '$.missed.lost', 9)",
            "open strip second of camera top has missed lost 9, its gaps lost 2",
        ),
        ("UPDATE open_strip SET tally = '{}'", "open strip of camera top: it cannot be read"),
    ],
)
def test_a_change_is_named_with_its_place(
    database: sqlite3.Connection, change: str, fault: str
) -> None:
    database.execute(change)
    assert any(fault in found for found in faults_in(database)), faults_in(database)


@pytest.mark.parametrize(
    ("kind", "changes", "fault"),
    [
        ("gap", {"count": 7}, "a gap of 7 frames from 2 to 3"),
        ("gap", {"last_frame_seq": 9, "count": 8}, "are missing twice"),
        ("gap", {"cause": "overload"}, "the report of strip first has missed lost 2"),
        ("strip_end", {"defects": {"kind1": 2}}, "has defects kind1 2, its events kind1 4"),
        ("strip_end", {"strip": "x"}, "strip x ends, but strip first is open"),
        ("strip_start", {"strip": "x"}, "strip first ends, but strip x is open"),
    ],
)
def test_an_event_that_disagrees_with_others_is_named(
    database: sqlite3.Connection, kind: str, changes: dict[str, object], fault: str
) -> None:
    seq, payload = database.execute(
        "SELECT seq, payload FROM event WHERE type = ? ORDER BY seq LIMIT 1", (kind,)
    ).fetchone()
    changed = msgspec.json.encode(msgspec.json.decode(payload) | changes)
    database.execute("UPDATE event SET payload = ? WHERE seq = ?", (changed, seq))
    assert any(fault in found for found in faults_in(database)), faults_in(database)


def test_two_starts_in_a_row_are_named(database: sqlite3.Connection) -> None:
    payload = database.execute("SELECT payload FROM event WHERE seq = 1").fetchone()[0]
    (last,) = database.execute("SELECT max(seq) FROM event").fetchone()
    changed = msgspec.json.encode(msgspec.json.decode(payload) | {"seq": last})
    database.execute(
        "UPDATE event SET payload = ?, type = 'daemon_start' WHERE seq = ?", (changed, last)
    )
    assert faults_in(database) == [f"event {last}: daemon_start twice in a row"]


def test_a_journal_whose_oldest_events_were_removed_is_sound(
    database: sqlite3.Connection,
) -> None:
    """Wherever retention has cut it."""
    (last,) = database.execute("SELECT max(seq) FROM event").fetchone()
    for seq in range(1, last + 1):
        database.execute("DELETE FROM event WHERE seq = ?", (seq,))
        assert faults_in(database) == [], seq


def test_a_damaged_file_is_a_fault_and_no_traceback(sound: Path, tmp_path: Path) -> None:
    """Each page of the file overwritten: the damage is named, or nothing that is used was hit."""
    content = sound.read_bytes()
    for start in range(4096, len(content), 4096):
        damaged = tmp_path / FILE
        damaged.write_bytes(content[:start] + b"\xff" * 4096 + content[start + 4096 :])
        assert verify(damaged), start


@pytest.mark.parametrize("column", ["topic", "t_ns", "payload"])
def test_a_row_that_its_table_forbids_is_named(database: sqlite3.Connection, column: str) -> None:
    """Found by fuzzing. Nothing is said of the events: rows may hold anything."""
    damage(database, column)
    assert faults_in(database) == [f"the database is damaged: NULL value in event.{column}"]


def test_what_is_no_journal_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(StorageError, match="cannot be opened"):
        verify(path)
    path.touch()
    with pytest.raises(StorageError, match="is empty"):
        verify(path)
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(StorageError, match="not a journal"):
        verify(path)
