"""Subscribers in processes of their own, which count what they receive, or look at the clock."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.sharedctypes import SynchronizedArray

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from stripwatch.net.sockets import Socket, open_socket
from stripwatch.wire.event import EVENT_BYTES_MAX

EVENTS = (b"defect.", b"gap.", b"strip.", b"status")
IMAGES = b"image."
FRAME_RESULTS = b"frame."
QUEUE_EVENTS = 10_000
FRAMES_MAX = 1_000_000  # whose latency is kept


class Received:
    """What the subscriber has received so far."""

    def __init__(self, counts: SynchronizedArray[int]) -> None:
        self._counts = counts

    def read(self) -> tuple[int, int]:
        """Number of events and of images."""
        return self._counts[0], self._counts[1]


@contextmanager
def listener_process(endpoint: str, *, images: bool) -> Iterator[Received]:
    """Receive all events of a daemon, and the images of defective frames if they are wanted."""
    context = multiprocessing.get_context("spawn")
    counts = context.Array("q", 2)
    topics = (*EVENTS, IMAGES) if images else EVENTS
    process = context.Process(target=_listen, args=(endpoint, topics, counts), daemon=True)
    process.start()
    try:
        yield Received(counts)
    finally:
        process.terminate()
        process.join()


class FrameResults:
    """The results of frames that a subscriber has received so far."""

    def __init__(self, numbers: SynchronizedArray[float]) -> None:
        self._numbers = numbers  # how many, and then the latency of each, ms

    def count(self) -> int:
        """Number of frames."""
        return int(self._numbers[0])

    def latencies_ms(self, first: int) -> NDArray[np.float64]:
        """From capture to receipt, by the wall clock, of all frames from number `first` on."""
        return np.array(self._numbers[1 + first : 1 + self.count()])


class _FrameResult(msgspec.Struct):
    t_ns: int


@contextmanager
def frame_listener_process(endpoint: str) -> Iterator[FrameResults]:
    """Receive the result of every frame."""
    context = multiprocessing.get_context("spawn")
    numbers = context.Array("d", 1 + FRAMES_MAX)
    process = context.Process(target=_listen_to_frames, args=(endpoint, numbers), daemon=True)
    process.start()
    try:
        yield FrameResults(numbers)
    finally:
        process.terminate()
        process.join()


def _listen_to_frames(endpoint: str, numbers: SynchronizedArray[float]) -> None:
    socket = _subscribed(endpoint, (FRAME_RESULTS,))
    decoder = msgspec.json.Decoder(_FrameResult)
    for number in range(1, FRAMES_MAX + 1):
        _, payload = socket.recv_multipart()
        numbers[number] = (time.time_ns() - decoder.decode(payload).t_ns) / 1e6
        numbers[0] = number


def _listen(endpoint: str, topics: Sequence[bytes], counts: SynchronizedArray[int]) -> None:
    socket = _subscribed(endpoint, topics)
    received = [0, 0]
    while True:
        topic = socket.recv_multipart()[0]
        is_image = topic.startswith(IMAGES)
        received[is_image] += 1
        counts[is_image] = received[is_image]


def _subscribed(endpoint: str, topics: Sequence[bytes]) -> Socket:
    socket = open_socket(
        zmq.Context(),
        "sub",
        endpoint,
        attach="connect",
        queue=QUEUE_EVENTS,
        message_bytes_max=EVENT_BYTES_MAX,
    )
    for topic in topics:
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    return socket
