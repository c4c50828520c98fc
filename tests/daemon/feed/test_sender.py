"""Sending frames over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
import zmq

from stripwatch.config.sections import Input
from stripwatch.errors import AddressError, ConfigError, StorageError
from stripwatch.feed.link import Link, link_to
from stripwatch.feed.pace import Pace
from stripwatch.feed.sender import Schedule, Sent, send_frames, strip_name
from stripwatch.feed.sources import Source, SourceFrame
from stripwatch.feed.sources.frame import raw_frame
from stripwatch.wire.frame import FrameHeader, parse_header

WAIT_MS = 10_000


def frames_source(count: int, shape: tuple[int, int] = (4, 8)) -> Source:
    def frames() -> Iterator[SourceFrame]:
        for index in range(count):
            yield raw_frame(np.full(shape, index, np.uint8))

    return Source(name="plates", frames=frames, count=count)


def recorded(session: str, seq: int, camera: str = "top") -> SourceFrame:
    header = FrameHeader(
        v=1,
        camera=camera,
        session=session,
        seq=seq,
        t_ns=5_000_000_000 + seq,
        shape=(1, 2),
        dtype="u8",
        codec="raw",
        strip="C7",
        line=70,
        end=True,
    )
    return SourceFrame(payload=b"ab", shape=(1, 2), t_ns=header.t_ns, recorded=header)


def recording(frames: Sequence[SourceFrame]) -> Source:
    cameras = tuple(dict.fromkeys(f.recorded.camera for f in frames if f.recorded))
    return Source(
        name="r", frames=lambda: iter(frames), count=len(frames), cameras=cameras, timed=True
    )


@contextmanager
def sending(
    source: Source, link: Link, schedule: Schedule, stop: threading.Event | None = None
) -> Iterator[dict[str, Sent]]:
    """Send in a thread; what was sent is there when the block has ended."""
    sent: dict[str, Sent] = {}
    stop = stop or threading.Event()
    thread = threading.Thread(target=lambda: sent.update(send_frames(source, link, schedule, stop)))
    thread.start()
    try:
        yield sent
        thread.join(WAIT_MS / 1000)
        assert not thread.is_alive()
    finally:
        stop.set()
        thread.join()


@contextmanager
def receiving(endpoint: str, kind: int) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(kind) as socket:
        if kind == zmq.SUB:
            socket.subscribe(b"frame.")
        socket.bind(endpoint)
        yield socket


def receive(socket: zmq.Socket[bytes], count: int) -> list[tuple[FrameHeader, bytes]]:
    frames = []
    for _ in range(count):
        assert socket.poll(WAIT_MS)
        topic, header, payload = socket.recv_multipart()
        frames.append((parse_header(topic, header), payload))
    return frames


def test_a_source_that_fails_does_not_end_the_strip(endpoint: str) -> None:
    """What was read before is sent, and none of it is called the strip's last frame."""

    def frames() -> Iterator[SourceFrame]:
        yield from frames_source(3).frames()
        raise StorageError("cut")

    source = Source(name="plates", frames=frames, count=5)
    link = Link(endpoint=endpoint, pattern="push")
    with ThreadPoolExecutor(1) as pool, receiving(endpoint, zmq.PULL) as socket:
        sending = pool.submit(send_frames, source, link, Schedule(), threading.Event())
        assert [(header.seq, header.end) for header, _ in receive(socket, 3)] == [
            (0, False),
            (1, False),
            (2, False),
        ]
        with pytest.raises(StorageError, match="cut"):
            sending.result()


@pytest.mark.parametrize("pattern", ["pub", "push"])
def test_every_camera_sends_every_frame(endpoint: str, pattern: str) -> None:
    """Over both patterns, in order, the last frame marked as the strip's end."""
    link = Link(endpoint=endpoint, pattern="pub" if pattern == "pub" else "push")
    schedule = Schedule(cameras=("top", "bottom"))
    with (
        receiving(endpoint, zmq.SUB if pattern == "pub" else zmq.PULL) as socket,
        sending(frames_source(5), link, schedule) as sent,
    ):
        frames = receive(socket, 10)
    for camera in schedule.cameras:
        mine = [(header, payload) for header, payload in frames if header.camera == camera]
        assert [header.seq for header, _ in mine] == list(range(5))
        assert [header.end for header, _ in mine] == [False] * 4 + [True]
        assert [payload[0] for _, payload in mine] == list(range(5))
        assert {header.strip for header, _ in mine} == {"plates"}
        assert sent[camera] == Sent(mine[-1][0], 5)
    assert len({header.session for header, _ in frames}) == 2


def test_a_loop_makes_a_strip_of_every_pass(endpoint: str) -> None:
    """The count cuts the last pass; its last frame ends its strip."""
    with (
        receiving(endpoint, zmq.PULL) as socket,
        sending(
            frames_source(3),
            Link(endpoint=endpoint, pattern="push"),
            Schedule(loop=True, frame_count=7, strip="C1"),
        ),
    ):
        headers = [header for header, _ in receive(socket, 7)]
    assert [header.strip for header in headers] == ["C1"] * 3 + ["C1-2"] * 3 + ["C1-3"]
    assert [header.line for header in headers] == [0, 4, 8, 0, 4, 8, 0]
    assert [header.end for header in headers] == [False, False, True] * 2 + [True]


def test_frames_that_are_to_be_lost_keep_their_numbers_and_lines(endpoint: str) -> None:
    """So that a daemon knows which are missing, and where the next one lies."""
    schedule = Schedule(loop=True, frame_count=8, lost=range(1, 3))
    with (
        receiving(endpoint, zmq.PULL) as socket,
        sending(frames_source(4), Link(endpoint=endpoint, pattern="push"), schedule) as sent,
    ):
        headers = [header for header, _ in receive(socket, 4)]
    assert [header.seq for header in headers] == [0, 3, 4, 7]
    assert [header.line for header in headers] == [0, 12, 0, 12]
    assert sent["top"].frames == 4


def test_a_recording_is_sent_as_recorded(endpoint: str) -> None:
    """Skipped numbers stay skipped; with keep_headers the whole header is kept."""
    source = recording([recorded("a", 3), recorded("a", 5)])
    for keep in (True, False):
        with (
            receiving(endpoint, zmq.PULL) as socket,
            sending(source, Link(endpoint=endpoint, pattern="push"), Schedule(keep_headers=keep)),
        ):
            headers = [header for header, _ in receive(socket, 2)]
        assert [header.seq for header in headers] == [3, 5]
        assert (headers[0].session == "a") is keep
        assert (headers[0].t_ns == 5_000_000_003) is keep


@pytest.mark.parametrize("pattern", ["pub", "push"])
def test_a_full_queue_holds_the_sender_back(endpoint: str, pattern: str) -> None:
    """Nothing is dropped on the sender's side while the receiver does not read."""
    pub = pattern == "pub"
    link = Link(endpoint=endpoint, pattern="pub" if pub else "push", queue_frames=2)
    source = frames_source(200, (64, 1024))
    with zmq.Context() as context, context.socket(zmq.SUB if pub else zmq.PULL) as socket:
        socket.set_hwm(2)
        if pub:
            socket.subscribe(b"frame.")
        socket.bind(endpoint)
        with sending(source, link, Schedule()):
            headers = [header for header, _ in receive(socket, 200)]
    assert [header.seq for header in headers] == list(range(200))


def test_a_stop_ends_the_sending(endpoint: str) -> None:
    """Also while the queue is full."""
    stop = threading.Event()
    link = Link(endpoint=endpoint, pattern="push", queue_frames=1)
    with (
        receiving(endpoint, zmq.PULL) as socket,
        sending(frames_source(3), link, Schedule(loop=True), stop) as sent,
    ):
        receive(socket, 4)
        stop.set()
    assert sent["top"].frames >= 4


@pytest.mark.parametrize("pattern", ["pub", "push"])
def test_a_missing_receiver_is_an_error(endpoint: str, pattern: str) -> None:
    """The error names the program to start and the settings to check."""
    link = Link(endpoint=endpoint, pattern="pub" if pattern == "pub" else "push")
    with pytest.raises(AddressError, match="start stripwatch run first"):
        send_frames(frames_source(1), link, Schedule(), threading.Event(), receiver_timeout_s=0.05)


@pytest.mark.parametrize(
    ("source", "schedule", "message"),
    [
        (frames_source(1), Schedule(pace=Pace(recorded=True)), "no times"),
        (frames_source(1), Schedule(keep_headers=True), "recordings"),
        (frames_source(1), Schedule(cameras=()), "--camera"),
        (recording([recorded("a", 1)]), Schedule(keep_headers=True, loop=True), "exclude"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(
    endpoint: str, source: Source, schedule: Schedule, message: str
) -> None:
    """Before a socket is opened."""
    with pytest.raises(ConfigError, match=message):
        send_frames(source, Link(endpoint=endpoint), schedule, threading.Event())


def test_strip_names_are_sendable() -> None:
    """Whatever a folder is called."""
    source = Source(name="käse" * 40, frames=lambda: iter(()), count=0)
    name = strip_name(source, Schedule(), 11)
    assert name.isascii()
    assert len(name) == 64
    assert name.endswith("-12")


@pytest.mark.parametrize(
    ("pattern", "attach", "link"),
    [
        ("sub", "bind", Link(endpoint="tcp://127.0.0.1:9", pattern="pub", queue_frames=7)),
        (
            "pull",
            "connect",
            Link(endpoint="tcp://*:9", pattern="push", attach="bind", queue_frames=7),
        ),
    ],
)
def test_the_sending_end_is_the_counterpart_of_an_input(
    pattern: str, attach: str, link: Link
) -> None:
    entry = {"endpoint": "tcp://*:9", "pattern": pattern, "attach": attach, "queue_frames": 7}
    assert link_to(msgspec.convert(entry, Input)) == link
