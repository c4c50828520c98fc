"""The camera's side: pace, numbers, and sending over real sockets."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import zmq

from stripwatch.errors import AddressError, ConfigError
from stripwatch.feed.numbering import Numbering, Renumbering
from stripwatch.feed.pace import Pace, Pacer
from stripwatch.feed.sender import Link, Schedule, Sent, send_frames, strip_name
from stripwatch.feed.sources import Source, SourceFrame
from stripwatch.feed.sources.frame import raw_frame
from stripwatch.wire.frame import FrameHeader, parse_header

WAIT_MS = 10_000


class FakeClock:
    """Time that passes only while somebody waits, or when told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.now_s += seconds


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
    outcome: dict[str, Sent] = {}
    stop = stop or threading.Event()
    thread = threading.Thread(
        target=lambda: outcome.update(send_frames(source, link, schedule, stop))
    )
    thread.start()
    try:
        yield outcome
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


def test_a_rate_is_kept_without_drift() -> None:
    """A frame that is late shortens the waits after it; the schedule stands."""
    clock = FakeClock()
    pacer = Pacer(Pace(frames_per_s=10), clock.wait, clock)
    for work_s in (0.01, 0.25, 0.0, 0.0, 0.0):
        pacer.wait_for_next(None)
        clock.now_s += work_s
    assert clock.waits_s == pytest.approx([0.09, 0.05])
    assert clock.now_s == pytest.approx(100.4)


def test_recorded_pauses_are_kept() -> None:
    """Frames follow each other as their times say; a time that runs back is due at once."""
    clock = FakeClock()
    pacer = Pacer(Pace(recorded=True), clock.wait, clock)
    for t_ns in (7_000_000_000, 7_500_000_000, 7_200_000_000, 9_000_000_000):
        pacer.wait_for_next(t_ns)
    assert clock.waits_s == pytest.approx([0.5, 1.5])
    with pytest.raises(ConfigError, match="--rate"):
        pacer.wait_for_next(None)


def test_without_a_pace_nothing_waits() -> None:
    """As fast as possible."""
    clock = FakeClock()
    pacer = Pacer(Pace(), clock.wait, clock)
    for _ in range(3):
        pacer.wait_for_next(None)
    assert clock.waits_s == []


def test_frames_are_numbered_and_lines_counted() -> None:
    """seq goes on over strips, line starts again with each."""
    numbering = Numbering("top", "s")
    tall, short = (raw_frame(np.zeros((lines, 8), np.uint8)) for lines in (4, 3))
    headers = [
        numbering.header(tall, "A", end=False, t_ns=1),
        numbering.header(short, "A", end=True, t_ns=2),
        numbering.header(tall, "B", end=False, t_ns=3),
        numbering.header(tall, "B", end=False, t_ns=4),
    ]
    assert [header.seq for header in headers] == [0, 1, 2, 3]
    assert [header.line for header in headers] == [0, 4, 0, 4]
    assert [header.end for header in headers] == [False, True, False, False]


def test_recorded_sessions_get_new_names_and_keep_their_numbers() -> None:
    """Each recorded session of a camera becomes one new session; all else but t_ns stays."""
    names = (f"new{number}" for number in itertools.count())
    renumbering = Renumbering(lambda: next(names))
    frames = [recorded("a", 3), recorded("a", 9), recorded("b", 0), recorded("a", 9, "bottom")]
    headers = [renumbering.header(f.recorded, 42) for f in frames if f.recorded]
    assert len({header.session for header in headers}) == 3
    assert headers[0].session == headers[1].session
    assert [header.seq for header in headers] == [3, 9, 0, 9]
    assert {header.t_ns for header in headers} == {42}
    assert (headers[0].strip, headers[0].line, headers[0].end) == ("C7", 70, True)


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


def test_a_recording_is_sent_as_recorded(endpoint: str) -> None:
    """Holes in the numbers stay; with keep_headers the whole header does."""
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
def test_nobody_there_is_said(endpoint: str, pattern: str) -> None:
    """The error names the endpoint and how to mend it."""
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
def test_a_plan_that_does_not_fit_is_refused(
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
