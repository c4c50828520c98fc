"""A subscriber that may ask: every event of its topics once and in order, whatever is lost."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.daemon.client.plant import WAIT_S, Plant, settle, take

from stripwatch import Defect, Gap, Lost, Renumbered, Subscriber
from stripwatch.errors import ConfigError
from stripwatch.journal.positions import READERS_MAX, Positions


@pytest.fixture
def plant(tmp_path: Path, endpoint: str, make_defect: Callable[..., Defect]) -> Iterator[Plant]:
    made = Plant(tmp_path, endpoint, make_defect)
    made.serve()
    yield made
    made.close()


def position(plant: Plant, reader: str) -> int | None:
    with closing(Positions(plant.journal.path.parent)) as positions:
        kept = positions.get(reader)
    return kept.seq if kept else None


def wait_for_position(plant: Plant, reader: str, seq: int) -> None:
    """A busy daemon keeps a place only after the subscriber has closed."""
    until_s = time.monotonic() + WAIT_S
    while position(plant, reader) != seq:
        assert time.monotonic() < until_s, position(plant, reader)
        time.sleep(0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("topics", [("",), ("gap",), ("defect.top", "status")])
def test_dropped_events_are_asked_for(plant: Plant, topics: tuple[str, ...], seed: int) -> None:
    """For any choice of topics, and in their place between those that came."""
    chance = random.Random(seed)
    with plant.subscriber(topics) as events:
        settle(events)
        for _ in range(10):
            dropped = {seq for seq in range(1, 2000) if chance.random() < 0.4}
            plant.emit(chance.randint(1, 100), dropped)
        plant.tell_status()
        kinds = {"gap": Gap, "defect.top": Defect}.get(topics[0], Defect | Gap)
        expected = [event for event in plant.published if isinstance(event, kinds)]
        assert take(events, len(expected)) == expected, f"seed {seed}"
        assert (events.missed, events.malformed) == (0, 0)
        assert events.last_seq == plant.journal.last_seq
        assert events.requests_fault == ""


def test_a_subscriber_that_reads_slowly_misses_nothing(plant: Plant) -> None:
    """Its queue holds few events, and the publisher drops the rest: a plain one shows it."""
    topics = ("defect", "gap", "light", "periodic", "strip")
    with (
        plant.subscriber(topics, narrow=True, queue_events=5) as events,
        Subscriber(plant.narrow_endpoint, topics, queue_events=5) as plain,
    ):
        settle(events)
        while plant.socket.poll(200):
            plant.socket.recv()
        for _ in range(50):
            plant.emit(100)
        found: list[object] = []
        while len(found) < 5000:
            item = events.receive(0.1)
            if item is None:
                plant.tell_status()  # the last events may be dropped, too
            else:
                found.append(item)
        assert found == plant.published
        assert events.missed == 0
        while plain.receive(0.1) is not None:
            pass
        plant.emit(1)
        assert plain.receive(WAIT_S)
        assert plain.missed


def test_it_starts_at_the_present_end_or_at_the_beginning(plant: Plant) -> None:
    first = plant.emit(5)
    plant.remove(2)
    with plant.subscriber() as late, plant.subscriber(start="beginning") as early:
        settle(late)
        second = plant.emit(3)
        assert take(late, 3) == second
        assert take(early, 6) == first[2:] + second


def test_a_reader_goes_on_where_it_was(plant: Plant) -> None:
    """What it was handed last comes again, unless it was acknowledged."""
    with plant.subscriber(reader="press") as events:
        settle(events)
        sent = plant.emit(6)
        assert take(events, 3) == sent[:3]
    wait_for_position(plant, "press", 2)
    sent += plant.emit(2)
    with plant.subscriber(reader="press") as events:
        assert take(events, 4) == sent[2:6]
        assert events.acknowledge()
    assert position(plant, "press") == 6
    with plant.subscriber(reader="press") as events:
        assert take(events, 2) == sent[6:]
        assert events.receive(0.01) is None  # asking for the next one finishes those before
    wait_for_position(plant, "press", 8)


def test_a_new_reader_is_known_before_its_first_event(plant: Plant) -> None:
    """A crash before anything was acknowledged loses nothing."""
    plant.emit(3)
    with plant.subscriber(reader="press") as events:
        settle(events)
        sent = plant.emit(4)
        assert take(events, 1) == sent[:1]
        assert position(plant, "press") == 3


def test_events_of_other_topics_count_as_read(plant: Plant) -> None:
    """Retention need not wait for a reader of rare topics."""
    with plant.subscriber(("strip",), reader="press") as events:
        settle(events)
        plant.emit(10, dropped={4})
        plant.tell_status()
        until_s = time.monotonic() + WAIT_S
        while events.last_seq < 10:
            assert events.receive(0.05) is None
            assert time.monotonic() < until_s
        assert events.acknowledge()
        assert position(plant, "press") == 10


def test_a_file_keeps_the_place(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "place.json"
    with plant.subscriber(position_file=path) as events:
        settle(events)
        sent = plant.emit(6)
        assert take(events, 3) == sent[:3]
    with plant.subscriber(position_file=path) as events:
        assert take(events, 4) == sent[2:]
    for text in ("{}", '{"a":' * 100_000):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"place\.json is not a file of a position"):
            Subscriber("tcp://127.0.0.1:9", requests="tcp://127.0.0.1:9", position_file=path)


def test_a_place_of_the_callers_own_goes_before_all_others(plant: Plant) -> None:
    """Kept together with the results, no event is handled twice."""
    sent = plant.emit(9)
    with plant.subscriber(reader="press", after=(plant.journal.stream, 4)) as events:
        assert take(events, 5) == sent[4:]
        events.acknowledge()
    assert position(plant, "press") == 9
    with plant.subscriber(reader="press", after=(plant.journal.stream, 7)) as events:
        assert take(events, 2) == sent[7:]


def test_what_retention_removed_is_an_item(plant: Plant) -> None:
    """It names the numbers, in their place, and is acknowledged as an event is."""
    with plant.subscriber(reader="press") as events:
        settle(events)
    wait_for_position(plant, "press", 0)
    sent = plant.emit(9)
    plant.remove(4)
    lost = Lost(stream=plant.journal.stream, first_seq=1, last_seq=4)
    with plant.subscriber(("gap",), reader="press") as events:
        assert take(events, 3) == [lost, sent[5], sent[7]]
        assert events.missed == 4
        events.acknowledge()
    assert position(plant, "press") == 9


def test_a_journal_that_was_made_anew_is_an_item(plant: Plant) -> None:
    """While the subscriber runs, and while it is away."""
    old = plant.journal.stream
    with plant.subscriber(reader="press") as events:
        settle(events)
        first = plant.emit(3)
        assert take(events, 3) == first
        plant.make_anew()
        second = plant.emit(2)
        renumbered = Renumbered(stream=plant.journal.stream, after_seq=0, old_stream=old, old_seq=3)
        assert take(events, 3) == [renumbered, *second]
        assert events.acknowledge()
        assert (events.stream, events.last_seq) == (plant.journal.stream, 2)
    old = plant.journal.stream
    plant.make_anew()
    third = plant.emit(2)
    with plant.subscriber(reader="press") as events:
        assert take(events, 3) == [
            Renumbered(stream=plant.journal.stream, after_seq=0, old_stream=old, old_seq=2),
            *third,
        ]


def test_a_place_ahead_of_the_journal_is_an_item(plant: Plant) -> None:
    """As after an older copy of the journal was put back."""
    stream = plant.journal.stream
    plant.emit(3)
    with plant.subscriber(after=(stream, 10)) as events:
        assert take(events, 1) == [
            Renumbered(stream=stream, after_seq=3, old_stream=stream, old_seq=10)
        ]
        sent = plant.emit(2)
        assert take(events, 2) == sent


@pytest.mark.slow
def test_a_daemon_that_is_away_is_waited_for(plant: Plant) -> None:
    """Waits are as long as asked for, the reason is known, and then every event comes."""
    plant.stop_serving()
    sent = plant.emit(5)
    with plant.subscriber(start="beginning", reader="press") as events:
        while not events.requests_fault:
            assert events.receive(0.1) is None
        assert "requests.endpoint" in events.requests_fault
        plant.serve()
        assert take(events, 5) == sent
        assert events.requests_fault == ""
        plant.stop_serving()
        assert not events.acknowledge(0.1)


@pytest.mark.slow
def test_a_journal_that_cannot_be_read_is_waited_for(plant: Plant) -> None:
    sent = plant.emit(5)
    away = plant.journal.path.rename(plant.journal.path.with_suffix(".away"))
    with plant.subscriber(after=(plant.journal.stream, 0)) as events:
        while not events.requests_fault:
            assert events.receive(0.1) is None
        assert "does not exist" in events.requests_fault
        away.rename(plant.journal.path)
        assert take(events, 5) == sent
        assert events.requests_fault == ""


def test_an_event_that_a_newer_daemon_wrote_is_counted_and_passed_over(plant: Plant) -> None:
    """The place goes on behind it."""
    sent = plant.emit(3)
    with closing(sqlite3.connect(plant.journal.path)) as database:
        database.execute("UPDATE event SET payload = ? WHERE seq = 2", (b'{"type":"newer"}',))
        database.commit()
    with plant.subscriber(start="beginning") as events:
        assert take(events, 2) == [sent[0], sent[2]]
        assert events.malformed == 1
        assert "newer" in events.last_fault


def test_one_reader_too_many_is_told(plant: Plant) -> None:
    with closing(Positions(plant.journal.path.parent)) as positions:
        for number in range(READERS_MAX):
            positions.set(f"r{number}", "s", 0)
    with (
        pytest.raises(ConfigError, match="forget"),
        plant.subscriber(reader="more") as events,
    ):
        events.receive(WAIT_S)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reader": "press"}, "requests"),
        ({"after": ("s", 1)}, "requests"),
        ({"start": "beginning"}, "requests"),
        ({"reader": "Press No. 1", "requests": "tcp://127.0.0.1:9"}, "a-z 0-9"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Subscriber("tcp://127.0.0.1:9", **options)  # type: ignore[arg-type]
