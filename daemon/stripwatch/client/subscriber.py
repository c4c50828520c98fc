"""The subscriber client: typed events from a running daemon.

with Subscriber("tcp://127.0.0.1:5551", topics=("defect", "gap")) as events:
    for event in events:
        ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec
import zmq

from stripwatch.client.messages import FrameImage, Item, Received, parse_message
from stripwatch.client.position import LossCounter
from stripwatch.client.requester import Requester
from stripwatch.client.resends import Resends, Start
from stripwatch.errors import ConfigError
from stripwatch.net.curve import ClientCurve, client_curve
from stripwatch.net.sockets import open_socket
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import EVENT_BYTES_MAX, Event, FrameResult
from stripwatch.wire.names import ReaderName
from stripwatch.wire.requests import Place

STRIP_TOPICS = ("defect", "gap", "light", "periodic", "strip")
NUMBERED_TOPICS = (*STRIP_TOPICS, "review", "threshold", "daemon")
TOPIC_BYTES_MAX = 200
TERM_LINGER_MS = 0  # a subscriber sends nothing but subscriptions
CLOSE_S_MAX = 1.0  # for the daemon to confirm the last place


class Subscriber:
    """Receives events from a daemon; not shared between threads.

    `topics` are prefixes, as ZeroMQ takes them: "defect" is every defect, "defect.top" those of
    one camera, "" everything. A topic that starts with "image" also yields `FrameImage`.

    Without `requests` the subscriber has what reaches it. `missed` counts numbered events that
    were published and not received; it is known only while all of `STRIP_TOPICS` are subscribed
    to, and None otherwise.

    With `requests`, the daemon's second endpoint, it yields every numbered event of its topics
    once and in order, and asks for those that did not arrive: dropped ones, and those of a time in
    which it, or the daemon, was away. What retention has removed is a `Lost`; a journal that was
    made anew is a `Renumbered`. `missed` counts the events of all `Lost`.

    It starts after the event `after`, given as (stream, seq); else at the place in
    `position_file`; else where the daemon keeps `reader`; else, or where these have no place yet,
    at the `start`: behind the newest event, before the oldest, or after a number of the present
    stream. An event is done when the caller
    asks for the next one. What is done is acknowledged once a second, to the file and under the
    reader's name, so after a crash of the caller the events of about its last second come again.
    A caller that must not see an event twice keeps `stream` and `seq` together with its own
    results, in one transaction, and gives them as `after`.

    Where the daemon uses CURVE, `curve` names the file of the key that was granted the events, and
    the requests where they are used (`stripwatch keys new`).

    `malformed` counts messages that are not events of version 1; `last_fault` describes the last.
    """

    def __init__(
        self,
        endpoint: str,
        topics: Sequence[str] = STRIP_TOPICS,
        *,
        attach: Literal["connect", "bind"] = "connect",
        queue_events: int = 10_000,
        requests: str | None = None,
        reader: str | None = None,
        position_file: Path | str | None = None,
        after: tuple[str, int] | None = None,
        start: Start = "end",
        curve: ClientCurve | Path | str | None = None,
    ) -> None:
        """Connect; the daemon may start later.

        Raises:
            AddressError: an endpoint cannot be connected or bound.
            ConfigError: a topic is not one that ZeroMQ can subscribe to, a reader's name breaks its
                rule, the file holds something else, there are no `requests` to follow a place, or
                the key cannot be used.
            StorageError: the file cannot be read.
        """
        _check(topics, reader)
        if requests is None and (reader or position_file or after or start != "end"):
            raise ConfigError("a place can only be kept with `requests`; give that endpoint, too")
        if isinstance(curve, Path | str):
            curve = client_curve(curve)
        self._topics = tuple(topics)
        covers_strip = all(name.startswith(self._topics) for name in STRIP_TOPICS)
        self._counter = LossCounter(is_complete=covers_strip)
        self._requester: Requester | None = None
        self._resends: Resends | None = None
        self.malformed = 0
        self.last_fault = ""
        self._context = zmq.Context()
        try:
            self._socket = open_socket(
                self._context,
                "sub",
                endpoint,
                attach=attach,
                queue=queue_events,
                message_bytes_max=EVENT_BYTES_MAX,
                curve=curve,
            )
            # Numbers have holes unless all numbered topics come; which are yielded is another
            # matter.
            needed = NUMBERED_TOPICS if requests or covers_strip else ()
            for topic in dict.fromkeys((*topics, *needed, *(("status",) if requests else ()))):
                self._socket.subscribe(topic.encode())
            if requests:
                self._requester = Requester(self._context, requests, curve)
                self._resends = Resends(
                    self._requester,
                    topics,
                    self._note_malformed,
                    reader=reader,
                    position_file=Path(position_file) if position_file else None,
                    after=Place(*after) if after else None,
                    start=start,
                )
        except Exception:
            self._context.destroy(TERM_LINGER_MS)
            raise

    def receive(self, timeout_s: float | None = None) -> Item | None:
        """The next event, or None when `timeout_s` has passed; None waits for ever."""
        received = self.receive_message(timeout_s)
        return received.event if received else None

    def receive_message(self, timeout_s: float | None = None) -> Received | None:
        """As `receive`, together with the payload as published.

        Raises:
            ConfigError: the daemon refuses to keep the reader's place.
            StorageError: the position file cannot be written.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._socket.closed:
            if self._resends:
                self._resends.finish()
                ordered = self._resends.take(_left_s(until_s))
                if ordered:
                    return Received(ordered.item, ordered.payload)
                if self._resends.is_behind:
                    return None
            arrived = self._arrived(until_s)
            if arrived is None:
                return None
            topic, event, payload = arrived
            is_wanted = topic.startswith(self._topics)
            if not isinstance(event, FrameImage | FrameResult):
                is_wanted &= self._numbers.pass_live(event)
            if is_wanted:
                return Received(event, payload)
        return None

    def acknowledge(self, timeout_s: float = 5.0) -> bool:
        """Everything received is done; whether the daemon has confirmed it, in time.

        Raises:
            ConfigError: the daemon refuses to keep the reader's place.
            StorageError: the position file cannot be written.
        """
        return self._resends is not None and self._resends.acknowledge(timeout_s)

    @property
    def missed(self) -> int | None:
        """Numbered events that were not received; None: it cannot be known."""
        return self._numbers.missed

    @property
    def stream(self) -> str | None:
        """The stream of the last event; None before the first."""
        return self._numbers.stream

    @property
    def last_seq(self) -> int:
        """The last number of the stream that was seen, or is known to be missed."""
        return self._numbers.last_seq

    @property
    def _numbers(self) -> LossCounter | Resends:
        return self._resends or self._counter

    @property
    def requests_fault(self) -> str:
        """Why the daemon does not answer requests at present; "" while it does."""
        if self._requester is None or self._resends is None:
            return ""
        return self._resends.storage_fault or self._requester.fault

    def __iter__(self) -> Iterator[Item]:
        """Every event, until the subscriber is closed."""
        while (event := self.receive()) is not None:
            yield event

    def close(self) -> None:
        """Acknowledge what is done, and disconnect; closing twice is allowed.

        The event received last is not done, unless it was followed by a call of `receive` or
        `acknowledge`.
        """
        try:
            if self._resends and not self._socket.closed:
                self._resends.close(CLOSE_S_MAX)
        finally:
            if self._requester:
                self._requester.close()
            self._socket.close(TERM_LINGER_MS)
            self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _arrived(self, until_s: float | None) -> tuple[str, Event | FrameImage, bytes] | None:
        """Topic, event and payload of the next message; None: the time is over."""
        while True:
            left_s = _left_s(until_s)
            if not self._socket.poll(None if left_s is None else round(left_s * 1e3)):
                return None
            parts = self._socket.recv_multipart()
            try:
                return parts[0].decode("ascii", "replace"), *parse_message(parts)
            except WireError as error:
                self._note_malformed(error)

    def _note_malformed(self, error: WireError) -> None:
        self.malformed += 1
        self.last_fault = str(error)


def _check(topics: Sequence[str], reader: str | None) -> None:
    for topic in topics:
        if not topic.isascii() or len(topic) > TOPIC_BYTES_MAX:
            raise ConfigError(
                f"topic {topic!r} cannot be subscribed to; "
                f"give at most {TOPIC_BYTES_MAX} ASCII characters, for example defect.top"
            )
    try:
        msgspec.convert(reader, ReaderName | None)
    except msgspec.ValidationError:
        raise ConfigError(
            f"reader {reader!r}: expected 1 to 32 characters of a-z 0-9 _ -"
        ) from None


def _left_s(until_s: float | None) -> float | None:
    return None if until_s is None else max(0.0, until_s - time.monotonic())
