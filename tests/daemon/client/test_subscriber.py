"""The subscriber client against a real publishing socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
import zmq

from stripwatch import (
    DaemonStart,
    DaemonStop,
    Defect,
    FrameImage,
    Gap,
    Status,
    StripEnd,
    Subscriber,
)
from stripwatch.client.subscriber import STRIP_TOPICS
from stripwatch.config.sections import Publish
from stripwatch.errors import AddressError, ConfigError
from stripwatch.outputs.images import build_image
from stripwatch.outputs.publish import Publisher
from stripwatch.testing import fake_line
from stripwatch.wire.event import State, build_event
from stripwatch.wire.frame import FrameHeader

MakeDefect = Callable[..., Defect]
WAIT_S = 10.0
HEADER = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=1, shape=(8, 32), dtype="u8", codec="raw"
)


@contextmanager
def publishing(
    endpoint: str, topics: int, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[zmq.Socket[bytes]]:
    """A bound XPUB socket, once so many topics are subscribed to."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.linger = 1000
        socket.bind(endpoint)
        for _ in range(topics):
            for _ in range(int(WAIT_S * 100)):
                if socket.poll(10):
                    break
                meanwhile()
            socket.recv(zmq.NOBLOCK)
        yield socket


def status(stream: str, last_event_seq: int) -> Status:
    return Status(
        stream=stream,
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
        last_event_seq=last_event_seq,
    )


def test_events_come_typed_and_in_order(endpoint: str, make_defect: MakeDefect) -> None:
    """The events yielded equal those published."""
    sent = [make_defect(seq=seq) for seq in (1, 2, 3)]
    with Subscriber(endpoint) as events, publishing(endpoint, 3) as socket:
        for event in sent:
            socket.send_multipart(build_event(event))
        assert sent == [event for _, event in zip(sent, events, strict=False)]
        assert (events.missed, events.malformed, events.stream) == (0, 0, "stream")


def test_malformed_messages_are_counted_and_skipped(endpoint: str, make_defect: MakeDefect) -> None:
    """Whatever arrives, the next good event is yielded."""
    good = build_event(make_defect())
    bad = [
        [b"defect.top.cracks"],
        [b"defect.top.cracks", b"{}"],
        [b"defect.top.cracks", b"\xff"],
        [b"defect.top.pits", good[1]],
        [*good, b"more"],
        [b"image.top", b"{}"],
        [b"image.top", b"{}", b""],
        [b"image.\xff", b"{}", b""],
        [b"image.top", msgspec.json.encode(HEADER), b"raw"],
    ]
    with Subscriber(endpoint, ("",)) as events, publishing(endpoint, 1) as socket:
        for message in [*bad, good]:
            socket.send_multipart(message)
        assert isinstance(events.receive(WAIT_S), Defect)
        assert events.malformed == len(bad)
        assert "bad_codec" in events.last_fault


@pytest.mark.parametrize(
    ("numbers", "missed"),
    [
        ([("a", 5), ("a", 6)], 0),  # joined late
        ([("a", 1), ("a", 4)], 2),
        ([("a", 7), ("b", 1), ("b", 2)], 0),  # the daemon has started again
        ([("a", 7), ("b", 3)], 2),
    ],
)
def test_missing_numbers_are_counted(
    endpoint: str, make_defect: MakeDefect, numbers: list[tuple[str, int]], missed: int
) -> None:
    """Within a stream every number is expected, of a later stream from 1."""
    with Subscriber(endpoint) as events, publishing(endpoint, 3) as socket:
        for stream, seq in numbers:
            socket.send_multipart(build_event(make_defect(stream=stream, seq=seq)))
            assert events.receive(WAIT_S)
        assert missed == events.missed


def test_a_restart_of_the_daemon_is_no_loss(endpoint: str, make_defect: MakeDefect) -> None:
    """Its stop and start have numbers, too: they are subscribed to, and not yielded."""
    stop = DaemonStop(stream="a", seq=2, t_ns=1, reason="stopped", detail="")
    start = DaemonStart(stream="a", seq=3, t_ns=1, version="1", model="m", config="c")
    with Subscriber(endpoint) as events, publishing(endpoint, 4) as socket:
        for event in (make_defect(stream="a", seq=1), stop, start, make_defect(stream="a", seq=4)):
            socket.send_multipart(build_event(event))
        received = [events.receive(WAIT_S), events.receive(WAIT_S)]
        assert [event.seq for event in received if isinstance(event, Defect)] == [1, 4]
        assert events.missed == 0


def test_a_status_reveals_events_lost_at_the_end(endpoint: str, make_defect: MakeDefect) -> None:
    """The last events may be lost without a later one to show it."""
    topics = (*STRIP_TOPICS, "status")
    with Subscriber(endpoint, topics) as events, publishing(endpoint, 4) as socket:
        for message in (status("a", 4), make_defect(stream="a", seq=5), status("a", 7)):
            socket.send_multipart(build_event(message))
            assert events.receive(WAIT_S)
        assert events.missed == 2


def test_missed_is_unknown_with_part_of_the_topics(endpoint: str) -> None:
    """Events of other topics leave holes that mean nothing."""
    with Subscriber(endpoint, ("defect", "gap")) as events:
        assert events.missed is None
        assert events.receive(0.01) is None


def test_a_publisher_that_starts_again_is_found(endpoint: str, make_defect: MakeDefect) -> None:
    """The subscriber reconnects, and sees the new stream."""
    with Subscriber(endpoint) as events:
        for stream in ("first", "second"):
            # libzmq subscribes again when the subscriber is next asked for an event.
            with publishing(endpoint, 3, lambda: events.receive(0)) as socket:
                socket.send_multipart(build_event(make_defect(stream=stream)))
                assert events.receive(WAIT_S)
                assert events.stream == stream
        assert events.missed == 0


def test_iteration_ends_when_closed(endpoint: str) -> None:
    """A closed subscriber yields nothing more, and closes twice without harm."""
    events = Subscriber(endpoint)
    events.close()
    events.close()
    assert list(events) == []


def test_images_come_after_the_defects(endpoint: str) -> None:
    """An image holds the frame's pixels; it is sent only because it is asked for."""
    pixels = np.full((8, 32), 90, np.uint8)
    with zmq.Context() as context:
        with Subscriber(endpoint, ("image",)) as events:
            publisher = Publisher(context, Publish(endpoint=endpoint), ["top"])
            try:
                for _ in range(int(WAIT_S * 100)):
                    publisher.read_subscriptions()
                    publisher.send(build_image(HEADER, pixels))
                    image = events.receive(0.01)
                    if image:
                        break
            finally:
                publisher.close(0)
        assert isinstance(image, FrameImage)
        assert image.header.seq == 0
        assert np.abs(image.pixels().astype(int) - 90).max() <= 2


def test_a_daemon_is_followed() -> None:
    """Against the real pipeline: every numbered event comes, none is missed."""
    with fake_line() as line:
        endpoint = line._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        with Subscriber(endpoint, ("",)) as events:
            while not isinstance(events.receive(WAIT_S), Status):
                pass
            painted = np.full((8, 32), 252, np.uint8)
            line.camera.send("top", "s", 0, painted, strip="C1")
            line.camera.send("top", "s", 3, strip="C1", end=True)
            kinds = set()
            while StripEnd not in kinds:
                event = events.receive(WAIT_S)
                assert event
                kinds.add(type(event))
            assert {Defect, Gap} <= kinds
            assert (events.missed, events.malformed) == (0, 0)


def test_an_endpoint_that_cannot_be_used_is_named() -> None:
    """The error names the endpoint or topic, and the reason."""
    with pytest.raises(AddressError, match="nowhere"):
        Subscriber("ipc:///nowhere/at/all", attach="bind")
    with pytest.raises(ConfigError, match="ASCII"):
        Subscriber("tcp://127.0.0.1:9", ("défaut",))
