"""Every numbered event once and in order: live ones, and those asked for again, as one row."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from stripwatch.client.place_keeper import PlaceKeeper
from stripwatch.client.position import Follower, Lost, Renumbered
from stripwatch.client.position_file import load_place
from stripwatch.client.requester import Reply, Requester
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import FrameResult, NumberedEvent, Status, parse_event
from stripwatch.wire.requests import (
    TOPICS_MAX,
    AskPosition,
    Error,
    Events,
    Place,
    Position,
    Since,
)

RETRY_S = 1.0  # after the daemon could not read its journal
Start = Literal["end", "beginning"] | int


class Ordered(msgspec.Struct, frozen=True):
    """What is handed to the caller, and the place after it."""

    item: NumberedEvent | Lost | Renumbered
    payload: bytes
    place: Place


class Resends:
    """Decides what is handed on, asks for what is missing, and acknowledges what is done."""

    def __init__(
        self,
        requester: Requester,
        topics: Sequence[str],
        on_malformed: Callable[[WireError], None],
        *,
        reader: str | None = None,
        position_file: Path | None = None,
        after: Place | None = None,
        start: Start = "end",
    ) -> None:
        """Ask for the place to start at, where it is not given.

        Args:
            requester: asks the daemon; the caller closes it.
            topics: prefixes of the events that are handed on.
            on_malformed: called for a message that is no event of version 1.
            reader: name under which the daemon keeps the place.
            position_file: in which the place is kept.
            after: place to start at, before that of the file, before that of the reader.
            start: where there is no place yet; a number: after it, in the present stream.

        Raises:
            ConfigError: the file holds something else.
            StorageError: the file cannot be read.
        """
        self._requester = requester
        self._topics = tuple(topics)
        self._on_malformed = on_malformed
        self._reader = reader
        self._start = start
        self._ids = map(str, itertools.count())
        self._keeper = PlaceKeeper(requester, self._ids, reader, position_file)
        self._follower = Follower(after or (load_place(position_file) if position_file else None))
        self._ready: deque[Ordered] = deque()
        self._handed = self._follower.place  # after what the caller has
        self._next_ask_s = 0.0
        self._is_new = False  # the daemon does not know the reader yet
        self.missed = 0  # events that retention removed
        self.storage_fault = ""  # why the daemon cannot answer
        if self._follower.place is None:
            self._ask()

    @property
    def is_behind(self) -> bool:
        """Whether events are to be asked for before live ones count."""
        return bool(self._ready) or self._follower.is_behind

    @property
    def stream(self) -> str | None:
        """Of what the caller has; None before the start is known."""
        return self._handed.stream if self._handed else None

    @property
    def last_seq(self) -> int:
        """Number of the last event that the caller has, or does not want."""
        return self._handed.seq if self._handed else 0

    def take(self, wait_s: float | None) -> Ordered | None:
        """The next event from the journal; None: there is none left, or `wait_s` is over.

        Raises:
            ConfigError: the daemon refuses to answer for good.
        """
        until_s = None if wait_s is None else time.monotonic() + wait_s
        while not self._ready and self._follower.is_behind:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            pause_s = self._next_ask_s - time.monotonic()
            if pause_s > 0:
                time.sleep(pause_s if left_s is None else min(pause_s, left_s))
            elif not self._requester.is_asking:
                self._ask()
                continue
            elif reply := self._requester.reply(left_s):
                self._digest(reply)
                continue
            if until_s is not None and time.monotonic() >= until_s:
                return None
        if not self._ready:
            return None
        ordered = self._ready.popleft()
        self._handed = ordered.place if self._ready else self._follower.place
        return ordered

    def pass_live(self, event: NumberedEvent | Status) -> bool:
        """Take in a live event; whether it comes next."""
        if isinstance(event, Status):
            self._follower.hear(event.stream, event.last_event_seq)
            return True
        is_next = self._follower.take(event.stream, event.seq)
        self._handed = self._follower.place
        return is_next

    def finish(self) -> None:
        """The caller has dealt with everything that it has; acknowledged once a second.

        Raises:
            ConfigError: the daemon refuses to keep the place.
            StorageError: the file cannot be written.
        """
        self._keeper.keep(self._handed)

    def acknowledge(self, wait_s: float) -> bool:
        """Acknowledge everything that the caller has; whether the daemon and the file have it now.

        Raises:
            ConfigError: the daemon refuses to keep the place.
            StorageError: the file cannot be written.
        """
        self._keeper.place = self._handed
        return self._keeper.settle(wait_s)

    def close(self, wait_s: float) -> None:
        """Acknowledge what the caller has dealt with; not what it was handed last.

        Raises:
            ConfigError: the daemon refuses to keep the place.
            StorageError: the file cannot be written.
        """
        self._keeper.settle(wait_s)

    def _ask(self) -> None:
        place, number = self._follower.place, next(self._ids)
        if place is None:
            self._requester.ask(AskPosition(id=number, reader=self._reader))
            return
        # Before the first event: the daemon then knows where to start again after a crash.
        registration = self._keeper.request() if self._is_new else None
        self._is_new = False
        topics = self._topics if 1 <= len(self._topics) <= TOPICS_MAX else ("",)
        self._requester.ask(
            registration or Since(id=number, stream=place.stream, seq=place.seq, topics=topics)
        )

    def _digest(self, reply: Reply) -> None:
        """Take in an answer.

        Raises:
            ConfigError: the daemon refuses to answer for good.
            StorageError: the file cannot be written.
        """
        self.storage_fault = ""
        match reply.answer:
            case Position():
                self._begin(reply.answer)
            case Events():
                events = self._parsed(reply.parts)
                lost = self._follower.turn(reply.answer)
                if lost:
                    self.missed += lost.last_seq - lost.first_seq + 1
                    self._add_notice(lost, Place(lost.stream, lost.last_seq))
                self._ready += events
                if not self._ready:
                    self._handed = self._follower.place
            case Error(error="storage"):
                self.storage_fault = reply.answer.message
                self._next_ask_s = time.monotonic() + RETRY_S
            case Error(error="other_stream" | "ahead"):
                notice = self._follower.renumber(reply.answer)
                if notice:
                    self._add_notice(notice, Place(notice.stream, notice.after_seq))
            case _:
                self._keeper.confirm(reply.answer)

    def _begin(self, answer: Position) -> None:
        place = answer.position
        self._is_new = place is None
        if place is None:
            seqs = {"end": answer.last_seq, "beginning": answer.first_seq - 1}
            start = self._start
            place = Place(answer.stream, start if isinstance(start, int) else seqs[start])
        self._follower.place = self._handed = place
        self._keeper.begin(place, is_known=not self._is_new)

    def _add_notice(self, notice: Lost | Renumbered, place: Place) -> None:
        self._ready.append(Ordered(notice, msgspec.json.encode(notice), place))

    def _parsed(self, parts: Sequence[bytes]) -> list[Ordered]:
        """The events of a page that are of the topics, and that this version knows."""
        events = []
        for topic, payload in zip(parts[::2], parts[1::2], strict=True):
            if not topic.decode("ascii", "replace").startswith(self._topics):
                continue
            try:
                event = parse_event(topic, payload)
            except WireError as error:
                self._on_malformed(error)
                continue
            if not isinstance(event, Status | FrameResult):
                events.append(Ordered(event, payload, Place(event.stream, event.seq)))
        return events
