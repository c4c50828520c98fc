"""The camera's side of the wire: paces frames and sends them, for replay, demo and tests."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import zmq

from stripwatch.errors import AddressError, ConfigError, StripwatchError
from stripwatch.feed.frame_sender import FrameSender
from stripwatch.feed.link import Link
from stripwatch.feed.numbering import Numbering, Renumbering, new_session
from stripwatch.feed.pace import Pace, Pacer
from stripwatch.feed.sources.frame import Source, SourceFrame
from stripwatch.wire.frame import FrameHeader

FULL_WAIT_S = 0.001  # between two tries while the queue is full
POLL_MS = 100  # longest wait for a receiver, so that a stop is seen
STRIP_CHARACTERS_MAX = 64


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Which frames of a source are sent, by which cameras, and how fast."""

    cameras: tuple[str, ...] = ("top",)  # each sends every frame; a recording brings its own
    pace: Pace = Pace()
    strip: str | None = None  # coil id; None = the source's name
    loop: bool = False  # start again at the source's end; every pass is a new strip
    frame_count: int | None = None  # frames of each camera (of a recording: of all) to send
    keep_headers: bool = False  # send recorded headers unchanged
    lost: range = range(0)  # frames of each pass that are numbered and not sent


class Sent(msgspec.Struct, frozen=True):
    """The last frame that a camera sent, and how many."""

    header: FrameHeader
    frames: int


def send_frames(
    source: Source,
    link: Link,
    schedule: Schedule,
    stop: threading.Event,
    *,
    receiver_timeout_s: float = 10.0,
    on_sent: Callable[[FrameHeader], None] = lambda _: None,
) -> dict[str, Sent]:
    """Send a source's frames; returns what was sent, by camera.

    The first frame waits for a receiver. Later ones wait while the receiver's queue is full, so
    a replay loses nothing on its side; while there is no subscriber, a publisher's frames are
    lost, as those of a real camera.

    Args:
        source: the frames.
        link: where they go.
        schedule: which frames, and how fast.
        stop: ends the sending when set.
        receiver_timeout_s: longest wait for the first receiver.
        on_sent: called after each frame.

    Raises:
        AddressError: the endpoint cannot be used, or no receiver connects in time.
        ConfigError: the schedule does not fit the source.
        StorageError: a frame cannot be read.
    """
    _check(source, schedule)
    with FrameSender(link) as sender:
        _await_receiver(sender, link, receiver_timeout_s, stop)
        sent = _send(source, sender, schedule, stop, on_sent)
        if not stop.is_set():
            sender.finish()
        return sent


def strip_name(source: Source, schedule: Schedule, number: int) -> str:
    """The coil id of pass `number` (from 0) through a source."""
    name = schedule.strip or "".join(c if " " <= c <= "~" else "_" for c in source.name) or "strip"
    suffix = f"-{number + 1}" if number else ""
    return name[: STRIP_CHARACTERS_MAX - len(suffix)] + suffix


def _check(source: Source, schedule: Schedule) -> None:
    if schedule.pace.recorded and not source.timed:
        raise ConfigError(f"{source.name} carries no times to pace it by; use --rate N instead")
    if schedule.keep_headers and not source.cameras:
        raise ConfigError("--keep-headers is for recordings (.mcap); other frames have no headers")
    if schedule.keep_headers and schedule.loop:
        raise ConfigError(
            "--keep-headers and --loop exclude each other: frames sent again under the same "
            "session and number are dropped as late"
        )
    if not schedule.cameras and not source.cameras:
        raise ConfigError("no camera is named; give --camera NAME")


def _await_receiver(
    sender: FrameSender, link: Link, timeout_s: float, stop: threading.Event
) -> None:
    """Wait for a connection (PUSH) or a subscription to frames (PUB)."""
    until_s = time.monotonic() + timeout_s
    while not stop.is_set() and not sender.has_receiver(POLL_MS):
        if time.monotonic() > until_s:
            raise AddressError(
                f"no receiver at {link.endpoint} ({link.attach}, {link.pattern}) within "
                f"{timeout_s:g} s; start stripwatch run first, and check endpoint, pattern "
                "(pub needs sub, push needs pull) and attach (one side binds, one connects)"
                + (", and that the key may send" if link.curve else ", and whether a key is needed")
            )


def _send(
    source: Source,
    sender: FrameSender,
    schedule: Schedule,
    stop: threading.Event,
    on_sent: Callable[[FrameHeader], None],
) -> dict[str, Sent]:
    pacer = Pacer(schedule.pace, stop.wait)
    cameras = {camera: Numbering(camera, new_session()) for camera in schedule.cameras}
    sent: dict[str, Sent] = {}
    left = schedule.frame_count
    for number in itertools.count() if schedule.loop else range(1):
        if schedule.pace.recorded:
            pacer = Pacer(schedule.pace, stop.wait)  # recorded times begin again with each pass
        strip = strip_name(source, schedule, number)
        renumbering = Renumbering()
        frames = 0
        for frame, last in _marked(itertools.islice(source.frames(), left)):
            pacer.wait_for_next(frame.t_ns)
            frames += 1
            is_lost = frames - 1 in schedule.lost
            for header in _headers(frame, cameras, renumbering, schedule, strip, last=last):
                if is_lost:
                    continue
                if not _send_one(sender, header, frame, stop):
                    return sent
                before = sent.get(header.camera)
                sent[header.camera] = Sent(header, before.frames + 1 if before else 1)
                on_sent(header)
        left = None if left is None else left - frames
        if left == 0 or frames == 0:
            break
    return sent


def _send_one(
    sender: FrameSender, header: FrameHeader, frame: SourceFrame, stop: threading.Event
) -> bool:
    """Send a frame, waiting while the queue is full; False: stopped before it was sent."""
    while not stop.is_set():
        if sender.try_send(header, frame.payload):
            return True
        if sender.socket.type == zmq.PUSH:
            sender.socket.poll(POLL_MS, zmq.POLLOUT)
        else:  # polling does not help: XPUB always reports that it can be written to
            stop.wait(FULL_WAIT_S)
    return False


def _marked(frames: Iterator[SourceFrame]) -> Iterator[tuple[SourceFrame, bool]]:
    """Each frame, and whether it is the last.

    Where the source fails, the frame before is sent and is not the last: the strip does not end
    there.
    """
    held = next(frames, None)
    while held is not None:
        try:
            following = next(frames, None)
        except StripwatchError:
            yield held, False
            raise
        yield held, following is None
        held = following


def _headers(
    frame: SourceFrame,
    cameras: dict[str, Numbering],
    renumbering: Renumbering,
    schedule: Schedule,
    strip: str,
    *,
    last: bool,
) -> Iterator[FrameHeader]:
    """The headers under which a frame leaves: one per camera, or as recorded."""
    if frame.recorded is None:
        for numbering in cameras.values():
            yield numbering.header(frame, strip, end=last, t_ns=time.time_ns())
    elif schedule.keep_headers:
        yield frame.recorded
    else:
        yield renumbering.header(frame.recorded, time.time_ns())
