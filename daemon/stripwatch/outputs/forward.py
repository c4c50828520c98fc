"""The window of a sink over the journal: what is sent, what is acknowledged, what waits.

    journal ---> waiting ---> in flight ---> acknowledged: the position moves
                              (window)

The position is the last number up to which everything is acknowledged. After a fault of the sink
all that was in flight is sent again: at least once, and in the order of first sight.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from stripwatch.errors import StorageError
from stripwatch.journal.positions import Position, Positions
from stripwatch.journal.reader import Bounds, JournalReader, StoredEvent
from stripwatch.journal.store import FILE
from stripwatch.outputs.sink import Sink

READ_EVENTS_MAX = 500
READ_BYTES_MAX = 4 * 1024 * 1024
POLL_S = 0.025  # between two looks into a journal that had nothing new
STORE_S = 0.1  # the position is stored at most so often: losing it only repeats events
STORE_EVENTS = 500  # or when so many were acknowledged since


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="lost"):
    """Events that retention removed before they were forwarded. Topic `lost`. Not numbered."""

    stream: str
    first_seq: int
    last_seq: int
    t_ns: int  # when it was found, Unix time
    v: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sink is."""

    stream: str  # empty: the journal has not been opened yet
    acknowledged_seq: int  # everything up to here is acknowledged
    last_seq: int  # of the newest event in the journal
    in_flight: int
    lag_s: float  # age of the oldest event that is not acknowledged
    lost: int  # events since the start that retention removed before they were sent


NO_PROGRESS = Progress("", 0, 0, 0, 0.0, 0)


class Forwarder:
    """Reads the journal in order and keeps a sink's window full; belongs to one thread.

    The journal is opened by the first call that reads it, and again after a fault.
    """

    def __init__(self, folder: Path, reader: str) -> None:
        """Forward from the position of a named reader of the journal in `folder`."""
        self._path = folder / FILE
        self._name = reader
        self._log = structlog.get_logger().bind(reader=reader)
        self._waiting: deque[StoredEvent] = deque()
        self._in_flight: deque[StoredEvent] = deque()
        self._looked_s = self._stored_s = 0.0
        self._lost = 0
        self._positions: Positions | None = None
        self._journal: JournalReader | None = None
        self._file = 0  # inode of the journal
        self._stream = ""
        self._read_seq = self._acknowledged_seq = self._stored_seq = self._last_seq = 0

    def fill(self, sink: Sink, window: int) -> None:
        """Send what waits, until the window is full or nothing waits.

        Raises:
            SinkError: from the sink.
            StorageError: the journal cannot be read; the next call tries again.
        """
        while len(self._in_flight) < window and self._has_more():
            event = self._waiting.popleft()
            self._in_flight.append(event)
            sink.send(event.topic, event.payload)

    def settle(self, count: int) -> None:
        """The oldest `count` events in flight are acknowledged: the position moves.

        Raises:
            StorageError: the position cannot be stored; the next call tries again.
        """
        for _ in range(count):
            self._acknowledged_seq = self._in_flight.popleft().seq
        moved = self._acknowledged_seq - self._stored_seq
        if moved and (moved >= STORE_EVENTS or time.monotonic() - self._stored_s >= STORE_S):
            self.store()

    def rewind(self) -> None:
        """What was in flight is sent again: the connection has ended."""
        self._in_flight.clear()
        self._waiting.clear()
        self._read_seq = self._acknowledged_seq
        self._looked_s = 0.0

    @property
    def in_flight(self) -> int:
        """How many events are sent and not acknowledged."""
        return len(self._in_flight)

    def store(self) -> None:
        """Store the position now.

        Raises:
            StorageError: it cannot be stored.
        """
        self._stored_s = time.monotonic()
        if self._positions is not None and self._acknowledged_seq != self._stored_seq:
            self._positions.set(self._name, self._stream, self._acknowledged_seq)
            self._stored_seq = self._acknowledged_seq

    def progress(self) -> Progress:
        """How far the sink is.

        Raises:
            StorageError: the journal cannot be read; the next call tries again.
        """
        self._has_more()
        if self._journal is not None:
            self._last_seq = self._journal.bounds().last_seq
        oldest = (self._in_flight or self._waiting or (None,))[0]
        return Progress(
            stream=self._stream,
            acknowledged_seq=self._acknowledged_seq,
            last_seq=self._last_seq,
            in_flight=len(self._in_flight),
            lag_s=max(0.0, (time.time_ns() - oldest.t_ns) / 1e9) if oldest else 0.0,
            lost=self._lost,
        )

    def close(self) -> None:
        """Close the files; the position stays where it was last stored."""
        if self._journal is not None:
            self._journal.close()
        if self._positions is not None:
            self._positions.close()

    def _has_more(self) -> bool:
        """Whether an event waits to be sent; looks into the journal every `POLL_S`."""
        if not self._waiting and time.monotonic() - self._looked_s >= POLL_S:
            try:
                self._read()
            except StorageError:
                if self._journal is not None:
                    self._journal.close()
                    self._journal = None
                raise
        return bool(self._waiting)

    def _read(self) -> None:
        """Read on, a page at a time; a hole in the numbers becomes an item of its own."""
        if self._journal is None:
            if self._in_flight:  # their acknowledgements belong to the numbers before
                return
            self._open()
        assert self._journal is not None
        page = self._journal.since(
            self._read_seq, events_max=READ_EVENTS_MAX, bytes_max=READ_BYTES_MAX
        )
        if not page.events:
            self._looked_s = time.monotonic()
            self._follow_new_journal()
            return
        first_seq = page.events[0].seq
        if first_seq > self._read_seq + 1:
            self._waiting.append(self._lost_before(first_seq))
        self._waiting.extend(page.events)
        self._read_seq = page.through_seq

    def _open(self) -> None:
        """Open the journal that lies in the folder now, and find where to begin in it."""
        self.store()
        file = _inode(self._path)  # before opening: a change in between is then seen as one
        journal = JournalReader(self._path.parent)
        try:
            bounds = journal.bounds()
            if self._positions is None:
                self._positions = Positions(self._path.parent)
            position = self._positions.get(self._name)
        except BaseException:
            journal.close()
            raise
        self._journal, self._file, self._stream = journal, file, bounds.stream
        self._read_seq = self._acknowledged_seq = self._begin(position, bounds)
        if position is None or position.stream != bounds.stream:
            self._stored_seq = -1  # from now on retention waits for us, also without a broker
            self.store()
        else:
            self._stored_seq = position.seq

    def _begin(self, position: Position | None, bounds: Bounds) -> int:
        """The number after which to begin."""
        if position is None:
            self._log.info("forwarding begins at the first event", seq=bounds.first_seq)
            return bounds.first_seq - 1
        if position.stream != bounds.stream:
            self._log.warning(
                "the journal is a new one; forwarding begins at its first event",
                stream=bounds.stream,
                stream_before=position.stream,
                acknowledged_seq=position.seq,
            )
            return 0
        if position.seq > bounds.last_seq:
            self._log.warning(
                "the position is ahead of the journal, as after a restored backup; forwarding "
                "continues with the next event",
                position=position.seq,
                last_seq=bounds.last_seq,
            )
            return bounds.last_seq
        return position.seq

    def _follow_new_journal(self) -> None:
        """Where the daemon has made a new file, go on with that, after the end of the old one."""
        if _inode(self._path) in (0, self._file) or self._in_flight:
            return
        assert self._journal is not None
        self._journal.close()
        self._journal = None
        self._open()

    def _lost_before(self, seq: int) -> StoredEvent:
        lost = Lost(
            stream=self._stream,
            first_seq=self._read_seq + 1,
            last_seq=seq - 1,
            t_ns=time.time_ns(),
        )
        self._lost += lost.last_seq - lost.first_seq + 1
        self._log.error(
            "events were removed from the journal before they were forwarded",
            first_seq=lost.first_seq,
            last_seq=lost.last_seq,
        )
        return StoredEvent(lost.last_seq, "lost", lost.t_ns, msgspec.json.encode(lost))


def _inode(path: Path) -> int:
    """Of the file that has this name now; 0: none has, or it cannot be seen."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
