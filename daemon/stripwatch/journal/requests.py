"""The requests thread: a ROUTER socket at which clients ask for events again.

It has a share of the computer that no client can enlarge: after each answer it rests for three
times as long as the answer took, so it uses at most about a quarter of a core. libzmq takes one
request of each client in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import zmq

from stripwatch.journal.answers import Answers, refusal
from stripwatch.net.access import may_write
from stripwatch.net.connections import cut, sender_of
from stripwatch.net.door import Door
from stripwatch.net.sockets import Context, Socket, discard_rest, has_more, open_socket, reopen
from stripwatch.wire.requests import REQUEST_BYTES_MAX

QUEUE = 4  # requests that wait, and answers that are not read, of each client; more are dropped
MESSAGE_BYTES_MAX = 4 * REQUEST_BYTES_MAX  # up to here the answer says that it is too long
POLL_MS = 100
REST = 3  # times what an answer took
REST_S_MAX = 1.0
DELIMITER = b""  # of a REQ socket, before its request


class RequestServer:
    """Reads requests and sends answers; belongs to one thread after it was made."""

    def __init__(
        self, context: Context, endpoint: str, answers: Answers, door: Door | None = None
    ) -> None:
        """Bind the endpoint; `door` decides who may ask, None: it is not encrypted.

        Raises:
            AddressError: it cannot be bound.
        """
        self._context = context
        self._endpoint = endpoint
        self._answers = answers
        self._door = door
        self._socket = self._open()

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Answer requests until `stop`, then close everything.

        Args:
            stop: set by another thread.
            beat: called at least every second or so.

        Raises:
            AddressError: the endpoint, given up for a moment, was taken by another process.
        """
        try:
            while not stop.is_set():
                beat()
                if self._socket.poll(POLL_MS):
                    begin_s = time.monotonic()
                    self._serve(beat)
                    stop.wait(min(REST * (time.monotonic() - begin_s), REST_S_MAX))
        finally:
            self._socket.close()
            self._answers.close()

    def _open(self) -> Socket:
        return open_socket(
            self._context,
            "router",
            self._endpoint,
            attach="bind",
            queue=QUEUE,
            message_bytes_max=MESSAGE_BYTES_MAX,
            curve=self._door.curve("requests") if self._door else None,
        )

    def _serve(self, beat: Callable[[], None]) -> None:
        """Read one request and answer it."""
        first = self._socket.recv(copy=False)
        sender, descriptor = sender_of(first) if self._door else (None, -1)
        envelope = [first.bytes]
        parts: list[bytes] = []
        while has_more(self._socket) and len(parts) < 3:
            parts.append(self._socket.recv())
        has_rest = has_more(self._socket)
        if not discard_rest(self._socket):
            self._socket.close(0)
            self._socket = reopen(self._open, beat)
            return
        denied = self._door.access.refusal(sender, "requests") if self._door else None
        if self._door and denied is not None:  # it was let in before its key was revoked
            self._door.reject(denied, self._endpoint)
            cut(descriptor, self._endpoint)
            return
        if len(parts) > 1 and parts[0] == DELIMITER:
            envelope.append(parts.pop(0))
        if len(parts) == 1 and not has_rest:
            access = self._door.access if self._door else None
            answer = self._answers.answer(parts[0], may_write=may_write(access, sender))
        else:
            answer = refusal(b"", "a request is one part, after the empty one of a REQ socket")
        self._socket.send_multipart([*envelope, *answer], zmq.NOBLOCK)
