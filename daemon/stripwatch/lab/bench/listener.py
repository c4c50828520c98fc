"""A subscriber in a process of its own, which counts what it receives."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.sharedctypes import SynchronizedArray

import zmq

from stripwatch.net.sockets import open_socket
from stripwatch.wire.event import EVENT_BYTES_MAX

EVENTS = (b"defect.", b"gap.", b"strip.", b"status")
IMAGES = b"image."
QUEUE_EVENTS = 10_000


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


def _listen(endpoint: str, topics: Sequence[bytes], counts: SynchronizedArray[int]) -> None:
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
    received = [0, 0]
    while True:
        topic = socket.recv_multipart()[0]
        is_image = topic.startswith(IMAGES)
        received[is_image] += 1
        counts[is_image] = received[is_image]
