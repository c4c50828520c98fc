"""The window over the journal: at least once, in order, across faults of the sink and the files."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon.journal.conftest import record

from stripwatch.errors import SinkError, StorageError
from stripwatch.journal.positions import READERS_MAX, Positions
from stripwatch.journal.records import Transaction
from stripwatch.journal.store import Journal
from stripwatch.outputs.forward import POLL_S, Forwarder

WINDOW = 7


class ListSink:
    """Keeps what is sent and acknowledges when told to."""

    def __init__(self) -> None:
        self.unheard = 0
        self.received: list[tuple[str, bytes]] = []
        self._unacknowledged = 0
        self.broken = False

    def connect(self) -> int:
        self.broken, self._unacknowledged = False, 0
        return WINDOW

    def send(self, topic: str, payload: bytes) -> None:
        if self.broken:
            raise SinkError("gone")
        self.received.append((topic, payload))
        self._unacknowledged += 1

    def acknowledged(self, wait_s: float) -> int:
        count = min(int(wait_s), self._unacknowledged)  # tests say so how many
        self._unacknowledged -= count
        return count

    def report(self, status: bytes) -> None: ...

    def leave(self, status: bytes) -> None: ...

    def close(self) -> None: ...

    @property
    def numbers(self) -> list[int]:
        return [int(payload) for topic, payload in self.received if topic != "lost"]


def append(journal: Journal, count: int) -> int:
    first = journal.last_seq + 1
    numbers = range(first, first + count)
    journal.append(Transaction([record(seq, payload=str(seq).encode()) for seq in numbers]))
    return journal.last_seq


def turn(forwarder: Forwarder, sink: ListSink, acknowledge: int = WINDOW) -> None:
    forwarder.fill(sink, WINDOW)
    forwarder.settle(sink.acknowledged(acknowledge))


def run_out(forwarder: Forwarder, sink: ListSink, last_seq: int) -> None:
    """Until everything is acknowledged and stored."""
    until_s = time.monotonic() + 10
    while forwarder.progress().acknowledged_seq < last_seq:
        assert time.monotonic() < until_s
        turn(forwarder, sink)
    forwarder.store()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def empty(folder: Path) -> Iterator[Journal]:
    made = Journal(folder)
    yield made
    made.close()


def stored(folder: Path) -> tuple[str, int]:
    with closing(Positions(folder)) as positions:
        position = positions.get("forward-x")
    assert position is not None
    return position.stream, position.seq


def test_whatever_breaks_each_event_comes_and_first_sight_is_in_order(
    empty: Journal, folder: Path
) -> None:
    """Connections end and forwarders are killed at random; the window is never exceeded."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    sink, breaks = ListSink(), 0
    forwarder = Forwarder(folder, "forward-x")
    last = append(empty, 50)
    while (progress := forwarder.progress()).acknowledged_seq < last or last < 400:
        assert progress.in_flight <= WINDOW
        assert progress.acknowledged_seq <= len(set(sink.numbers))
        if last < 400 and chance.random() < 0.1:
            last = append(empty, chance.randrange(1, 30))
        if chance.random() < 0.05:
            sink.connect()
            forwarder.rewind()
            breaks += 1
        if chance.random() < 0.02:
            forwarder.store()  # else all is repeated: acknowledgements are quicker than STORE_S
            forwarder.close()
            forwarder = Forwarder(folder, "forward-x")
            sink.connect()
            breaks += 1
        turn(forwarder, sink, chance.randrange(WINDOW))
    forwarder.close()
    assert list(dict.fromkeys(sink.numbers)) == list(range(1, last + 1))
    assert len(sink.numbers) - last <= breaks * WINDOW


def test_a_connection_that_ends_within_a_send_loses_nothing(empty: Journal, folder: Path) -> None:
    last = append(empty, 3)
    sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
    sink.broken = True
    with pytest.raises(SinkError):
        forwarder.fill(sink, WINDOW)
    forwarder.rewind()
    sink.connect()
    run_out(forwarder, sink, last)
    forwarder.close()
    assert sink.numbers == [1, 2, 3]
    assert stored(folder) == (empty.stream, 3)


def test_what_was_removed_before_it_was_sent_is_an_item(empty: Journal, folder: Path) -> None:
    """It is acknowledged as an event is: the position does not pass it before."""
    append(empty, 5)
    sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
    run_out(forwarder, sink, 5)
    last = append(empty, 30)
    with sqlite3.connect(empty.path) as database:
        database.execute("DELETE FROM event WHERE seq <= 20")
    time.sleep(POLL_S)
    forwarder.fill(sink, 1)
    topic, payload = sink.received[-1]
    lost = json.loads(payload)
    assert topic == "lost"
    assert (lost["type"], lost["stream"]) == ("lost", empty.stream)
    assert (lost["first_seq"], lost["last_seq"]) == (6, 20)
    progress = forwarder.progress()
    assert (progress.lost, progress.acknowledged_seq) == (15, 5)
    run_out(forwarder, sink, last)
    forwarder.close()
    assert sink.numbers == [*range(1, 6), *range(21, last + 1)]


def test_retention_knows_a_sink_that_has_never_been_reached(empty: Journal, folder: Path) -> None:
    append(empty, 9)
    forwarder = Forwarder(folder, "forward-x")
    forwarder.progress()
    forwarder.close()
    assert stored(folder) == (empty.stream, 0)


def test_a_new_reader_begins_with_the_first_event_that_is_left(
    empty: Journal, folder: Path
) -> None:
    """What was removed before anybody asked for it is not called lost."""
    append(empty, 9)
    with sqlite3.connect(empty.path) as database:
        database.execute("DELETE FROM event WHERE seq <= 4")
    sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
    run_out(forwarder, sink, 9)
    forwarder.close()
    assert sink.received[0] == ("defect.top.pits", b"5")


@pytest.mark.parametrize("while_running", [True, False])
def test_a_journal_made_anew_is_forwarded_from_its_first_event(
    folder: Path, while_running: bool
) -> None:
    """The rest of the old one still comes first, where the forwarder has it open."""
    old = Journal(folder)
    append(old, 20)
    sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
    turn(forwarder, sink)
    if not while_running:
        forwarder.store()
        forwarder.close()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (folder / name).unlink()
    old.close()
    new = Journal(folder)
    append(new, 3)
    if not while_running:
        forwarder = Forwarder(folder, "forward-x")
    until_s = time.monotonic() + 10
    while forwarder.progress().stream != new.stream or sink.numbers[-1] != 3:
        assert time.monotonic() < until_s
        turn(forwarder, sink)
    forwarder.store()
    forwarder.close()
    new.close()
    assert sink.numbers == [*range(1, 21 if while_running else WINDOW + 1), 1, 2, 3]
    assert stored(folder) == (new.stream, 3)


def test_a_position_ahead_of_the_journal_waits_for_the_next_event(
    empty: Journal, folder: Path
) -> None:
    append(empty, 5)
    with closing(Positions(folder)) as positions:
        positions.set("forward-x", empty.stream, 99)
    sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
    assert forwarder.progress().acknowledged_seq == 5
    run_out(forwarder, sink, append(empty, 1))
    forwarder.close()
    assert sink.numbers == [6]
    assert stored(folder) == (empty.stream, 6)


def test_a_journal_that_comes_later_is_found(folder: Path) -> None:
    """Until then every attempt is a sentence."""
    forwarder, sink = Forwarder(folder, "forward-x"), ListSink()
    for _ in range(2):
        with pytest.raises(StorageError, match="a daemon makes it when it starts"):
            forwarder.fill(sink, WINDOW)
    journal = Journal(folder)
    run_out(forwarder, sink, append(journal, 2))
    assert sink.numbers == [1, 2]
    forwarder.close()
    journal.close()


def test_one_reader_too_many_waits_until_another_is_forgotten(empty: Journal, folder: Path) -> None:
    """Without a place among the readers retention would not wait for it."""
    with closing(Positions(folder)) as positions:
        for number in range(READERS_MAX):
            positions.set(f"reader-{number}", "s", 0)
        last = append(empty, 2)
        sink, forwarder = ListSink(), Forwarder(folder, "forward-x")
        for _ in range(2):
            with pytest.raises(StorageError, match="forget"):
                turn(forwarder, sink)
        assert sink.numbers == []
        positions.forget("reader-7")
    run_out(forwarder, sink, last)
    forwarder.close()
    assert stored(folder) == (empty.stream, last)
