"""The two endpoints of a daemon on a real journal, with losses on order."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import zmq

from stripwatch import Subscriber
from stripwatch.journal.answers import Answers
from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.requests import RequestServer
from stripwatch.journal.store import Journal
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    Defect,
    Gap,
    NumberedEvent,
    State,
    Status,
    build_event,
    with_number,
)

WAIT_S = 20.0


class Plant:
    """Journals events, and publishes those that are not to be dropped."""

    def __init__(self, folder: Path, sockets: str, make_defect: Callable[..., Defect]) -> None:
        self.events_endpoint = f"{sockets}-events"
        self.requests_endpoint = f"{sockets}-requests"
        self.journal = Journal(folder / "journal")
        self.published: list[NumberedEvent] = []
        self._make_defect = make_defect
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.XPUB)
        self.socket.linger = 0
        self.socket.sndhwm = 10_000
        self.socket.bind(self.events_endpoint)
        self.narrow_endpoint = f"{sockets}-narrow"  # drops what a reader does not take at once
        self.socket.sndhwm = 5
        self.socket.bind(self.narrow_endpoint)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Begin to answer requests."""
        answers = Answers(self.journal.path.parent, lambda: None)
        server = RequestServer(self._context, self.requests_endpoint, answers)
        self._stop.clear()
        self._thread = threading.Thread(target=server.run, args=(self._stop, lambda: None))
        self._thread.start()

    def stop_serving(self) -> None:
        """Be away for those who ask."""
        if self._thread:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def emit(self, count: int, dropped: Container[int] = ()) -> list[NumberedEvent]:
        """Journal `count` defects and gaps in turn; publish those whose numbers are not dropped."""
        events = [self._event(self.journal.last_seq + 1 + index) for index in range(count)]
        transaction = Transaction()
        for event in events:
            topic, payload = build_event(event)
            transaction.events.append(event_record(event, topic, payload, time.time_ns()))
        self.journal.append(transaction)
        for event in events:
            if event.seq not in dropped:
                self.socket.send_multipart(build_event(event))
        self.published += events
        return events

    def tell_status(self) -> None:
        """Publish a status, as the daemon does once a second."""
        status = Status(
            stream=self.journal.stream,
            t_ns=1,
            state=State.OK,
            uptime_s=1,
            model="m",
            frames_per_s=0,
            frames_inspected=0,
            latency_ms={},
            drops={},
            cameras={},
            subscribers=1,
            last_event_seq=self.journal.last_seq,
        )
        self.socket.send_multipart(build_event(status))

    def remove(self, through_seq: int) -> None:
        """As retention does."""
        with closing(sqlite3.connect(self.journal.path)) as database:
            database.execute("DELETE FROM event WHERE seq <= ?", (through_seq,))
            database.commit()

    def make_anew(self) -> None:
        """A new stream, since the journal was removed."""
        for file in self.journal.path.parent.glob("journal.db*"):
            file.unlink()
        self.journal.reopen()

    @contextmanager
    def subscriber(
        self, topics: Sequence[str] = ("",), *, narrow: bool = False, **options: object
    ) -> Iterator[Subscriber]:
        """A subscriber of both endpoints, which is subscribed already."""
        with Subscriber(
            self.narrow_endpoint if narrow else self.events_endpoint,
            topics,
            requests=self.requests_endpoint,
            **options,  # type: ignore[arg-type]
        ) as events:
            while self.socket.poll(200):
                self.socket.recv()
            yield events

    def close(self) -> None:
        """Close everything."""
        self.stop_serving()
        self._context.destroy(linger=0)
        self.journal.close()

    def _event(self, seq: int) -> NumberedEvent:
        if seq % 2:
            return self._make_defect(stream=self.journal.stream, seq=seq)
        defect = self._make_defect()
        gap = Gap(
            stream="",
            seq=1,
            camera="top",
            strip=None,
            session=defect.session,
            first_frame_seq=seq,
            last_frame_seq=seq,
            count=1,
            cause=Cause.LOST,
            downweb_mm=None,
        )
        return with_number(gap, self.journal.stream, seq)


def take(events: Subscriber, count: int) -> list[object]:
    """The next so many items, statuses left out."""
    found: list[object] = []
    until_s = time.monotonic() + WAIT_S
    while len(found) < count:
        item = events.receive(max(0.0, until_s - time.monotonic()))
        assert item is not None, (found, events.requests_fault)
        if not isinstance(item, Status):
            found.append(item)
    return found


def settle(events: Subscriber) -> None:
    """Wait until a subscriber knows where it starts."""
    until_s = time.monotonic() + WAIT_S
    while events.stream is None:
        assert time.monotonic() < until_s, events.requests_fault
        assert events.receive(0.01) is None
