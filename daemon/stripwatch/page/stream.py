"""The event stream of the page: every numbered event once and in order, and the status.

A browser gets its next message when it has taken the last one. What it has not taken is nowhere
but in the journal, so one that never reads costs nothing; one that comes back names the last
event that it has (`Last-Event-ID`) and goes on behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from stripwatch.errors import StorageError
from stripwatch.journal.reader import Bounds, JournalReader, StoredEvent
from stripwatch.page.defect_rows import Told
from stripwatch.page.reading import Reading
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Defect, DefectClosed, parse_event
from stripwatch.wire.requests import Place

EVENTS_AT_ONCE = 500
BYTES_AT_ONCE = 1024 * 1024
POLL_S = 0.25  # between two looks for new events, while somebody listens
WAIT_S = 1.0
COMMENT_S = 15.0  # keeps a connection alive through proxies
KEPT_MESSAGES = 64  # for those who are at the end; others read the journal themselves


RowOf = Callable[[Told], list[Any]]  # a defect as a row of the stream


class Message(msgspec.Struct, frozen=True):
    """A part of the stream, ready to be sent."""

    after: Place
    through: Place
    text: bytes


class Streams:
    """The streams of all browsers; belongs to the event loop."""

    def __init__(self, reading: Reading, row_of: RowOf) -> None:
        """Nothing is read while nobody listens."""
        self._reading = reading
        self._row_of = row_of
        self._end: deque[Message] = deque(maxlen=KEPT_MESSAGES)
        self._pulse = asyncio.Event()
        self._status = b""
        self._status_number = 0
        self._is_over = False
        self.listeners = 0

    def set_status(self, body: dict[str, Any]) -> None:
        """Send a status to everybody."""
        self._status = _message("status", msgspec.json.encode(body))
        self._status_number += 1
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self._is_over = True
        self._wake()

    async def follow_journal(self) -> None:
        """Read new events once for all who are at the end, until it is cancelled."""
        place: Place | None = None
        while True:
            await asyncio.sleep(POLL_S)
            if not self.listeners:
                place = None
                self._end.clear()
                continue
            try:
                message = await self._read(place)
            except StorageError:
                continue  # the state says it
            if place is not None and message.text:
                self._end.append(message)
                self._wake()
            place = message.through

    async def follow(self, start: Place | None) -> AsyncIterator[bytes]:
        """One browser's stream from a place, or from the end.

        It ends when the page does.
        """
        self.listeners += 1
        try:
            place = start
            if place is None:
                _, place = await self._next(None)  # the end as it is now
            yield b"retry: 1000\n\n"
            shown, quiet_s = 0, 0.0
            while not self._is_over:
                pulse = self._pulse
                text, place = await self._next(place)
                if self._status_number != shown:
                    shown, text = self._status_number, text + self._status
                if text:
                    quiet_s = 0.0
                    yield text
                    continue
                quiet_s += WAIT_S
                if quiet_s >= COMMENT_S:
                    quiet_s = 0.0
                    yield b": still here\n\n"
                try:
                    await asyncio.wait_for(pulse.wait(), WAIT_S)
                except TimeoutError:
                    continue
        finally:
            self.listeners -= 1

    async def _next(self, place: Place | None) -> tuple[bytes, Place | None]:
        """What follows a place."""
        for message in self._end:
            if message.after == place:
                return message.text, message.through
        if place is not None and self._end and self._end[-1].through == place:
            return b"", place
        try:
            message = await self._read(place)
        except StorageError:
            return b"", place  # the state says it
        return message.text, message.through

    async def _read(self, place: Place | None) -> Message:
        return await self._reading.run(lambda reader: read_message(reader, place, self._row_of))

    def _wake(self) -> None:
        self._pulse.set()
        self._pulse = asyncio.Event()


def read_message(reader: JournalReader, place: Place | None, row_of: RowOf) -> Message:
    """The events after a place; None: none, and the place is the end.

    Raises:
        StorageError: the journal cannot be read.
    """
    with reader.snapshot():
        bounds = reader.bounds()
        end = Place(bounds.stream, bounds.last_seq)
        if place is None:
            return Message(end, end, b"")
        if place.stream != bounds.stream or place.seq > bounds.last_seq:
            reset = {"stream": bounds.stream, "last_seq": bounds.last_seq}
            return Message(place, end, _message("reset", msgspec.json.encode(reset), end))
        text, seq = _lost(place, bounds)
        page = reader.since(seq, events_max=EVENTS_AT_ONCE, bytes_max=BYTES_AT_ONCE)
    through = Place(bounds.stream, page.through_seq)
    return Message(place, through, text + _events(bounds.stream, page.events, row_of))


def _lost(place: Place, bounds: Bounds) -> tuple[bytes, int]:
    """What retention has removed before it was read, and where to go on."""
    if place.seq + 1 >= bounds.first_seq:
        return b"", place.seq
    last = Place(bounds.stream, bounds.first_seq - 1)
    body = {"first_seq": place.seq + 1, "last_seq": last.seq}
    return _message("lost", msgspec.json.encode(body), last), last.seq


def _events(stream: str, events: tuple[StoredEvent, ...], row_of: RowOf) -> bytes:
    """Messages in order; defects that follow each other are packed into one."""
    parts: list[bytes] = []
    rows: list[list[Any]] = []
    last_seq = 0

    def flush() -> None:
        if rows:
            body = msgspec.json.encode({"rows": rows})
            parts.append(_message("defects", body, Place(stream, last_seq)))
            rows.clear()

    for stored in events:
        kind = stored.topic.partition(".")[0]
        if kind in ("defect", "defect_closed"):
            event = _parsed(stored)
            if event is not None:
                rows.append(row_of(event))
            last_seq = stored.seq
            continue
        flush()
        name = msgspec.json.decode(stored.payload, type=_Tag).type
        parts.append(_message(name, stored.payload, Place(stream, stored.seq)))
    flush()
    return b"".join(parts)


class _Tag(msgspec.Struct):
    type: str


def _parsed(stored: StoredEvent) -> Told | None:
    """The defect; None: it is damaged, as stripwatch journal verify tells."""
    try:
        event = parse_event(stored.topic.encode(), stored.payload)
    except WireError:
        return None
    assert isinstance(event, Defect | DefectClosed)
    return event


def _message(kind: str, data: bytes, place: Place | None = None) -> bytes:
    """A message of the stream; JSON has no line breaks."""
    head = f"id: {place.stream}:{place.seq}\n" if place else ""
    return f"{head}event: {kind}\ndata: ".encode() + data + b"\n\n"


def parse_place(text: str) -> Place | None:
    """STREAM:SEQ, as ids have it; None: it is none."""
    stream, colon, seq = text.rpartition(":")
    if not colon or not stream or len(stream) > 64 or not seq.isdecimal() or len(seq) > 16:
        return None
    return Place(stream, int(seq))
