"""A socket that frame messages leave by: one try a frame, and never a wait."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import zmq

from stripwatch.feed.link import Link
from stripwatch.net.sockets import Socket, open_socket
from stripwatch.wire.frame import FrameHeader, build_frame

SUBSCRIPTION_BYTES_MAX = 256
SUBSCRIPTIONS_MAX = 1000  # topics that are remembered
LINGER_MS = 5000  # for the last frames to leave


class FrameSender:
    """The sending end of an input; belongs to one thread."""

    def __init__(self, link: Link) -> None:
        """Open the socket.

        Raises:
            AddressError: the endpoint cannot be bound or connected.
        """
        self._context = zmq.Context()
        # A PUSH socket is then writable only once a receiver has connected.
        self._context.setsockopt(zmq.IMMEDIATE, 1)
        self._linger_ms = 0
        self._subscriptions: set[bytes] = set()
        try:
            self.socket: Socket = open_socket(
                self._context,
                "xpub" if link.pattern == "pub" else "push",
                link.endpoint,
                attach=link.attach,
                queue=link.queue_frames,
                message_bytes_max=SUBSCRIPTION_BYTES_MAX,
                curve=link.curve,
            )
        except BaseException:
            self._context.term()
            raise
        if link.pattern == "pub":
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is reported, not hidden

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close(self._linger_ms)
        self._context.term()

    def has_receiver(self, wait_ms: int = 0) -> bool:
        """Whether somebody is there to receive, now or within a time.

        Of a publisher: whether somebody has subscribed; without that its frames are lost.
        """
        if self.socket.type == zmq.PUSH:
            return bool(self.socket.poll(wait_ms, zmq.POLLOUT))
        if self.socket.poll(wait_ms):
            self._read_subscriptions()
        return bool(self._subscriptions)

    def try_send(self, header: FrameHeader, payload: bytes | memoryview) -> bool:
        """Send a frame; False: the queue is full, or a PUSH socket has no receiver.

        The pixels are copied: their memory may be used again at once.
        """
        if self.socket.type == zmq.XPUB:
            self._read_subscriptions()
        try:
            self.socket.send_multipart(build_frame(header, payload), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _read_subscriptions(self) -> None:
        """Read them all: libzmq keeps unread ones without a limit."""
        while self.socket.poll(0):
            message = self.socket.recv()
            if message[:1] == b"\x01" and len(self._subscriptions) < SUBSCRIPTIONS_MAX:
                self._subscriptions.add(message[1:])
            else:
                self._subscriptions.discard(message[1:])

    def finish(self) -> None:
        """Let what waits in the queue leave when the socket is closed."""
        self._linger_ms = LINGER_MS
