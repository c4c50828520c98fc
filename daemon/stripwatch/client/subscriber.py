"""The subscriber client: typed events from a running daemon.

with Subscriber("tcp://127.0.0.1:5551", topics=("defect", "gap")) as events:
    for event in events:
        ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Literal, Self

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.net.sockets import open_socket
from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.event import EVENT_BYTES_MAX, Event, FrameResult, Status, parse_event
from stripwatch.wire.frame import (
    FrameHeader,
    decode_image,
    frame_topic,
    image_topic,
    parse_header,
)

NUMBERED_TOPICS = ("defect", "gap", "strip")
TOPIC_BYTES_MAX = 200
TERM_LINGER_MS = 0  # a subscriber sends nothing but subscriptions


class FrameImage(msgspec.Struct, frozen=True):
    """A frame with defects, as the daemon publishes it under the topic `image.<camera>`."""

    header: FrameHeader
    payload: bytes  # a JPEG of header.shape

    def pixels(self) -> NDArray[np.uint8]:
        """The decoded frame, uint8 [lines, pixels].

        Raises:
            BadFrame: the payload is not such an image of the header's shape.
        """
        return decode_image(self.header, self.payload)


class Received(msgspec.Struct, frozen=True):
    """An event and its bytes as published."""

    event: Event | FrameImage
    payload: bytes  # the event's JSON; of an image the JPEG


class Subscriber:
    """Receives events from a daemon; not shared between threads.

    `topics` are prefixes, as ZeroMQ takes them: "defect" is every defect, "defect.top" those of
    one camera, "" everything. A topic that starts with "image" also yields `FrameImage`.

    `missed` counts numbered events that were published and not received. It is known only while
    all of `NUMBERED_TOPICS` are subscribed to, and None otherwise. `malformed` counts messages
    that are not events of version 1; `last_fault` describes the last of them.
    """

    def __init__(
        self,
        endpoint: str,
        topics: Sequence[str] = NUMBERED_TOPICS,
        *,
        attach: Literal["connect", "bind"] = "connect",
        queue_events: int = 10_000,
    ) -> None:
        """Connect; the daemon may start later.

        Raises:
            AddressError: the endpoint cannot be connected or bound.
            ConfigError: a topic is not one that ZeroMQ can subscribe to.
        """
        for topic in topics:
            if not topic.isascii() or len(topic) > TOPIC_BYTES_MAX:
                raise ConfigError(
                    f"topic {topic!r} cannot be subscribed to; "
                    f"give at most {TOPIC_BYTES_MAX} ASCII characters, for example defect.top"
                )
        self._context = zmq.Context()
        try:
            self._socket = open_socket(
                self._context,
                "sub",
                endpoint,
                attach=attach,
                queue=queue_events,
                message_bytes_max=EVENT_BYTES_MAX,
            )
        except Exception:
            self._context.term()
            raise
        for topic in topics:
            self._socket.subscribe(topic.encode())
        all_numbered = all(
            any(name.startswith(topic) for topic in topics) for name in NUMBERED_TOPICS
        )
        self.missed: int | None = 0 if all_numbered else None
        self.malformed = 0
        self.last_fault = ""
        self.stream: str | None = None
        self.last_seq = 0  # of the stream, seen or known to be missed

    def receive(self, timeout_s: float | None = None) -> Event | FrameImage | None:
        """The next event, or None when `timeout_s` has passed; None waits for ever."""
        received = self.receive_message(timeout_s)
        return received.event if received else None

    def receive_message(self, timeout_s: float | None = None) -> Received | None:
        """As `receive`, together with the payload as published."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._socket.closed:
            left_ms = None if until_s is None else max(0, round((until_s - time.monotonic()) * 1e3))
            if not self._socket.poll(left_ms):
                return None
            parts = self._socket.recv_multipart()
            try:
                received = _parse(parts)
            except WireError as error:
                self.malformed += 1
                self.last_fault = str(error)
                continue
            self._follow(received.event)
            return received
        return None

    def __iter__(self) -> Iterator[Event | FrameImage]:
        """Every event, until the subscriber is closed."""
        while (event := self.receive()) is not None:
            yield event

    def close(self) -> None:
        """Disconnect; closing twice is allowed."""
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

    def _follow(self, event: Event | FrameImage) -> None:
        """Count missing numbers. A status shows losses after the last event received."""
        match event:
            case FrameImage() | FrameResult():
                return
            case Status():
                self._expect_seen(event.stream, event.last_event_seq)
            case _:
                self._expect_seen(event.stream, event.seq - 1)
                self.last_seq = max(self.last_seq, event.seq)

    def _expect_seen(self, stream: str, seq: int) -> None:
        """All events of a stream up to `seq` have been published; those not seen are missed."""
        if self.stream is None:  # events published before the first one received are not missed
            self.last_seq = seq
        elif stream != self.stream:  # the daemon has restarted, and numbers from 1
            self.last_seq = 0
        if self.missed is not None:
            self.missed += max(0, seq - self.last_seq)
        self.stream = stream
        self.last_seq = max(self.last_seq, seq)


def _parse(parts: list[bytes]) -> Received:
    if parts[0].startswith(b"image."):
        return _parse_image(parts)
    if len(parts) != 2:
        raise WireError(Cause.BAD_PARTS, f"{len(parts)} parts, an event has 2")
    return Received(parse_event(parts[0], parts[1]), parts[1])


def _parse_image(parts: list[bytes]) -> Received:
    if len(parts) != 3:
        raise WireError(Cause.BAD_PARTS, f"{len(parts)} parts, an image has 3")
    topic, header_part, payload = parts
    # A frame message but for its topic: the parser of frames reads it.
    camera = topic.removeprefix(image_topic("")).decode("ascii", "replace")
    header = parse_header(frame_topic(camera), header_part)
    if header.codec == "raw":
        raise WireError(Cause.BAD_CODEC, "an image must be coded")
    return Received(FrameImage(header, payload), payload)
