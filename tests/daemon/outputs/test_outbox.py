"""The outbox: numbers without a hole, in the order in which events are handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import zmq

from stripwatch.config import Publish
from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.outputs.outbox import Outbox
from stripwatch.outputs.publish import Publisher
from stripwatch.wire.event import Defect, Event, FrameResult, parse_event
from stripwatch.wire.frame import FrameHeader

MakeDefect = Callable[..., Defect]
RESULT = FrameResult(
    camera="top", session="s", frame_seq=0, strip=None, t_ns=1, area_px=(0,), peak=(0.0,), defects=0
)


@pytest.fixture
def publisher(endpoint: str) -> Iterator[Publisher]:
    context = zmq.Context()
    made = Publisher(context, Publish(endpoint=endpoint))
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


def test_numbers_are_contiguous_over_all_calls(
    publisher: Publisher, subscriber: zmq.Socket[bytes], make_defect: MakeDefect
) -> None:
    """Events without a number of their own, such as frame results, take none."""
    outbox = Outbox(publisher)
    outbox.send([make_defect(frame_seq=0), RESULT, make_defect(frame_seq=1)])
    outbox.send([])
    outbox.send([make_defect(frame_seq=2)])
    first, result, second, third = received(subscriber, 4)
    assert isinstance(result, FrameResult)
    numbered = [event for event in (first, second, third) if isinstance(event, Defect)]
    assert [event.seq for event in numbered] == [1, 2, 3]
    assert [event.frame_seq for event in numbered] == [0, 1, 2]
    assert {event.stream for event in numbered} == {outbox.stream}
    assert outbox.last_seq == 3


def test_an_image_follows_the_defects_before_it(
    publisher: Publisher, subscriber: zmq.Socket[bytes], make_defect: MakeDefect
) -> None:
    header = FrameHeader(
        v=1, camera="top", session="s", seq=0, t_ns=1, shape=(8, 32), dtype="u8", codec="raw"
    )
    image = DefectiveFrame(header, np.zeros((8, 32), np.uint8))
    Outbox(publisher).send([make_defect(), image])
    topics = []
    for _ in range(2):
        assert subscriber.poll(10_000)
        topics.append(subscriber.recv_multipart()[0])
    assert topics == [b"defect.top.cracks", b"image.top"]
