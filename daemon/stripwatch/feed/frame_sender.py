"""A socket that frame messages leave by: one try a frame, and never a wait."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import zmq

from stripwatch.feed.link import Link
from stripwatch.net.sockets import Socket, open_socket
from stripwatch.wire.frame import FrameHeader, build_frame

SUBSCRIPTION_BYTES_MAX = 256
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
        try:
            self.socket: Socket = open_socket(
                self._context,
                "xpub" if link.pattern == "pub" else "push",
                link.endpoint,
                attach=link.attach,
                queue=link.queue_frames,
                message_bytes_max=SUBSCRIPTION_BYTES_MAX,
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

    def try_send(self, header: FrameHeader, payload: bytes | memoryview) -> bool:
        """Send a frame; False: the queue is full, or a PUSH socket has no receiver.

        The pixels are copied: their memory may be used again at once.
        """
        if self.socket.type == zmq.XPUB:
            while self.socket.poll(0):  # libzmq keeps unread subscriptions without a limit
                self.socket.recv()
        try:
            self.socket.send_multipart(build_frame(header, payload), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def finish(self) -> None:
        """Let what waits in the queue leave when the socket is closed."""
        self._linger_ms = LINGER_MS
