"""The outbox: numbers without a hole, nothing published that was not journalled."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from tests.daemon.journal.conftest import record

from stripwatch.config.sections import PicturesSection, Publish
from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Account, Row
from stripwatch.inspect.inspector import DefectiveFrame, Output
from stripwatch.journal.faults import JournalReplaced
from stripwatch.journal.pictures import PictureStore
from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.retention import Limits
from stripwatch.journal.store import FILE, Journal
from stripwatch.journal.verify import verify
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures, View
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.batches import Batch
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.outbox import Outbox
from stripwatch.wire.event import (
    DaemonStart,
    DaemonStop,
    Defect,
    Event,
    FrameResult,
    NumberedEvent,
    parse_event,
    with_number,
)
from stripwatch.wire.frame import FrameHeader

HEADER = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=1, shape=(8, 32), dtype="u8", codec="raw"
)

MakeDefect = Callable[..., Defect]
RESULT = FrameResult(
    camera="top", session="s", frame_seq=0, strip=None, t_ns=1, area_px=(0,), peak=(0.0,), defects=0
)


@pytest.fixture
def publisher(endpoint: str) -> Iterator[Publisher]:
    context = zmq.Context()
    made = Publisher(context, Publish(endpoint=endpoint), ["top"])
    yield made
    made.close(0)
    context.term()


@pytest.fixture
def subscriber(endpoint: str, publisher: Publisher) -> Iterator[zmq.Socket[bytes]]:
    """A SUB socket to every topic, whose subscription has arrived."""
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.subscribe("")
    socket.connect(endpoint)
    while not publisher.subscriptions:
        publisher.read_subscriptions()
    yield socket
    context.destroy(linger=0)


def received(socket: zmq.Socket[bytes], count: int) -> list[Event]:
    events = []
    for _ in range(count):
        assert socket.poll(10_000)
        events.append(parse_event(*socket.recv_multipart()))
    return events


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal")
    yield made
    made.close()


START = DaemonStart(stream="", seq=0, t_ns=1, version="1", model="m", config="c")
KEEP_ALL = Limits(1e12, 1e18, 1e12)
STOP = DaemonStop(stream="", seq=0, t_ns=2, reason="stopped", detail="")


def made_outbox(
    journal: Journal,
    publisher: Publisher,
    images: Images | None = None,
    pictures: Pictures | None = None,
    limits: Limits = KEEP_ALL,
) -> Outbox:
    images = images or Images()
    pictures = pictures or Pictures(PicturesSection(), journal.path.parent)
    return Outbox(journal, journal.past(), publisher, images, pictures, limits, Heartbeat())


@contextmanager
def running(journal: Journal, publisher: Publisher, limits: Limits = KEEP_ALL) -> Iterator[Outbox]:
    """An outbox, its thread and those of images and pictures; at the end everything is sent."""
    images = Images()
    pictures = Pictures(PicturesSection(), journal.path.parent)
    outbox = made_outbox(journal, publisher, images, pictures, limits)
    threads = [
        threading.Thread(target=outbox.run, args=(START, lambda: STOP, lambda: None)),
        threading.Thread(target=images.run, args=(lambda: None, outbox.wake)),
        threading.Thread(target=pictures.run, args=(lambda: None,)),
    ]
    for thread in threads:
        thread.start()
    yield outbox
    outbox.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def put(outbox: Outbox, outputs: Sequence[Output | View]) -> None:
    outbox.put(Batch(outputs), lambda: None)


def payloads(journal: Journal) -> list[bytes]:
    with sqlite3.connect(journal.path) as database:
        return [row[0] for row in database.execute("SELECT payload FROM event ORDER BY seq")]


def test_numbers_are_contiguous_and_go_on_with_the_journal(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    """Events without a number of their own, such as frame results, take none."""
    for first_seq in (1, 6):
        with running(journal, publisher) as outbox:
            put(outbox, [make_defect(frame_seq=0), RESULT, make_defect(frame_seq=1)])
            put(outbox, [])
            put(outbox, [make_defect(frame_seq=2)])
        events = received(subscriber, 6)
        assert [type(event) for event in events] == [
            DaemonStart,
            Defect,
            FrameResult,
            Defect,
            Defect,
            DaemonStop,
        ]
        numbered = [event for event in events if isinstance(event, NumberedEvent)]
        assert [event.seq for event in numbered] == list(range(first_seq, first_seq + 5))
        assert {event.stream for event in numbered} == {outbox.stream}
        assert outbox.last_seq == first_seq + 4


def test_the_journal_holds_what_was_published(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    """Byte for byte, in order."""
    with running(journal, publisher) as outbox:
        put(outbox, [make_defect(frame_seq=number) for number in range(10)])
    assert payloads(journal) == [subscriber.recv_multipart()[1] for _ in range(12)]


def test_a_killed_run_is_named_by_the_next(
    journal: Journal, publisher: Publisher, subscriber: zmq.Socket[bytes]
) -> None:
    """What has no `daemon_stop` at its end was killed."""
    start = event_record(with_number(START, journal.stream, 1), b"daemon", b"{}", 0)
    journal.append(Transaction([start]))
    with running(journal, publisher):
        pass
    stop, *_ = received(subscriber, 3)
    assert isinstance(stop, DaemonStop)
    assert (stop.reason, stop.seq) == ("unclean", 2)


def test_nothing_is_published_until_it_is_journalled(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    """While another program locks the file, events are held; then they leave, and none is lost."""
    with running(journal, publisher) as outbox:
        assert isinstance(received(subscriber, 1)[0], DaemonStart)
        with closing(sqlite3.connect(journal.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            put(outbox, [make_defect()])
            until_s = time.monotonic() + 30
            while not outbox.fault:
                assert time.monotonic() < until_s
                time.sleep(0.05)
            assert "locked" in outbox.fault
            assert not subscriber.poll(0)
            other.execute("ROLLBACK")
        event = received(subscriber, 1)[0]
        assert isinstance(event, Defect)
        assert event.seq == 2
        assert outbox.fault == ""


def test_a_removed_journal_is_made_again_with_a_new_stream(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    """Events go on, and the new journal knows how far the cameras were.

    Its counts begin there, so that its own events explain them.
    """
    row = Row(HEADER, 0, 0, None)
    other = Row(msgspec.structs.replace(HEADER, camera="bottom"), 0, 0, None)
    next_row = Row(msgspec.structs.replace(HEADER, seq=1), 0, 0, None)
    before = journal.stream
    with running(journal, publisher) as outbox:
        outbox.put(Batch([make_defect()], [row, other]), lambda: None)
        received(subscriber, 2)
        for path in journal.path.parent.glob("journal.db*"):
            path.unlink()
        outbox.put(Batch([make_defect(frame_seq=1)], [next_row]), lambda: None)
        event = received(subscriber, 1)[0]
    assert isinstance(event, Defect)
    assert event.stream != before
    assert (event.stream, event.seq) == (journal.stream, 1)
    accounts = {record.camera: record.account for record in journal.past().coverage}
    assert accounts["top"] == Account("s", 1, 1, inspected=1)
    assert accounts["bottom"] == Account("s", 1, 0)
    assert verify(journal.path) == []


def test_another_journal_in_its_place_ends_the_outbox(
    journal: Journal, publisher: Publisher, tmp_path: Path, make_defect: MakeDefect
) -> None:
    """Such as one of a disk that is mounted again: the next start goes on with it."""
    other = Journal(tmp_path / "other")
    other.append(Transaction([record(1)]))
    other.close()
    outbox = made_outbox(journal, publisher)
    put(outbox, [make_defect()])
    (tmp_path / "other" / FILE).replace(journal.path)
    with pytest.raises(JournalReplaced, match="another journal is in its place"):
        outbox.run(START, lambda: STOP, lambda: None)


def test_a_folder_that_was_removed_is_locked_again(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    """The lock went with it; no second daemon may write into the new folder."""
    with running(journal, publisher) as outbox:
        received(subscriber, 1)
        shutil.rmtree(journal.path.parent)
        put(outbox, [make_defect()])
        received(subscriber, 1)
        with pytest.raises(StorageError, match="another daemon"):
            Journal(journal.path.parent)


def test_pictures_are_kept_under_the_number_of_their_defect(
    journal: Journal, publisher: Publisher, make_defect: MakeDefect
) -> None:
    """A frame result between two defects takes no number."""
    store = PictureStore(journal.path.parent)
    with running(journal, publisher) as outbox:
        first, second = make_defect(area_px=4), make_defect(area_px=5)
        pixels = np.zeros((256, 1600), np.uint8)
        views = [View(defect, (0, 0), pixels[:9, :9], None) for defect in (first, second)]
        put(outbox, [first, views[0], RESULT, second, views[1]])
    for seq in (2, 3):
        assert [one.kind for one in store.get(journal.stream, seq)] == ["crop", "mask"]
    assert store.get(journal.stream, 4) == []
    store.close()


def test_an_image_follows_the_defects_before_it(
    journal: Journal,
    publisher: Publisher,
    subscriber: zmq.Socket[bytes],
    make_defect: MakeDefect,
) -> None:
    image = DefectiveFrame(HEADER, np.zeros((8, 32), np.uint8))
    with running(journal, publisher) as outbox:
        put(outbox, [make_defect(), image])
    topics = [subscriber.recv_multipart()[0] for _ in range(4)]
    assert topics == [b"daemon", b"defect.top.cracks", b"image.top", b"daemon"]


def test_old_events_are_removed_while_events_leave(
    journal: Journal, publisher: Publisher, make_defect: MakeDefect
) -> None:
    """A journal beyond its limit becomes smaller without a restart."""
    with running(journal, publisher, Limits(64_000, 1e18, 64_000)) as outbox:
        until_s = time.monotonic() + 20
        while not journal.extent().first_seq > 1:
            assert time.monotonic() < until_s
            put(outbox, [make_defect(rle="1 1 " * 500, frame_seq=number) for number in range(100)])
            time.sleep(0.05)
    assert len(payloads(journal)) < outbox.last_seq
