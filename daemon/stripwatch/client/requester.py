"""One request at a time to a daemon that may be away: asked again with a new socket.

The pattern is known as Lazy Pirate (the ZeroMQ guide, chapter 4). All requests may be repeated
without harm.
"""

from __future__ import annotations

import time
from collections import deque

import msgspec
import zmq

from stripwatch.net.curve import ClientCurve
from stripwatch.net.sockets import Context, Socket, open_socket
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import EVENT_BYTES_MAX
from stripwatch.wire.requests import Answer, Events, Request, parse_answer

ANSWER_S_MAX = 2.5  # then the request is sent again, with a new socket
QUEUE = 8
SIDE_ANSWERS_MAX = 8


class Reply(msgspec.Struct, frozen=True):
    """An answer, and the parts that follow it."""

    answer: Answer
    parts: tuple[bytes, ...]


class Requester:
    """A socket that asks; belongs to one thread."""

    def __init__(self, context: Context, endpoint: str, curve: ClientCurve | None = None) -> None:
        """Connect; the daemon may start later. `curve` is the key, where the daemon wants one.

        Raises:
            AddressError: the endpoint cannot be used.
        """
        self._context = context
        self._endpoint = endpoint
        self._curve = curve
        self._socket = self._open()
        self._asked: Request | None = None
        self._asked_s = 0.0
        self._side_answers: deque[Answer] = deque(maxlen=SIDE_ANSWERS_MAX)
        self.fault = ""  # why there is no answer; "" once there is one

    @property
    def is_asking(self) -> bool:
        """Whether the answer to `ask` is still to come."""
        return self._asked is not None

    def ask(self, request: Request) -> None:
        """Send a request whose answer `reply` waits for."""
        self._asked = request
        self._send_asked()

    def forget(self) -> None:
        """Wait for no reply any more."""
        self._asked = None

    def tell(self, request: Request) -> None:
        """Send a request once; its answer, if there is one, is among the `side_answers`."""
        self._send(request)

    def reply(self, wait_s: float | None) -> Reply | None:
        """The reply to the request asked last; None: not yet. Asks again when it is due."""
        until_s = None if wait_s is None else time.monotonic() + wait_s
        while self._asked is not None:
            now_s = time.monotonic()
            due_s = self._asked_s + ANSWER_S_MAX
            end_s = due_s if until_s is None else min(due_s, until_s)
            if self._socket.poll(max(0, round((end_s - now_s) * 1e3))):
                reply = self._receive()
                if reply is not None and reply.answer.id == self._asked.id:
                    self._asked, self.fault = None, ""
                    return reply
            elif time.monotonic() >= due_s:
                self.fault = (
                    f"no answer from {self._endpoint}; check that the daemon runs, and that its "
                    "requests.endpoint is this address"
                    + (", and grants this key the requests" if self._curve else "")
                )
                self._socket.close()
                self._socket = self._open()
                self._send_asked()
            if until_s is not None and time.monotonic() >= until_s:
                break
        return None

    def side_answers(self) -> list[Answer]:
        """Answers to what was told; each is returned once."""
        while self._asked is None and self._socket.poll(0):
            self._receive()
        answers = list(self._side_answers)
        self._side_answers.clear()
        return answers

    def close(self) -> None:
        """Disconnect; what is on its way is dropped."""
        self._socket.close()

    def _open(self) -> Socket:
        return open_socket(
            self._context,
            "dealer",
            self._endpoint,
            attach="connect",
            queue=QUEUE,
            message_bytes_max=EVENT_BYTES_MAX,
            curve=self._curve,
        )

    def _send_asked(self) -> None:
        assert self._asked is not None
        self._asked_s = time.monotonic()
        self._send(self._asked)

    def _send(self, request: Request) -> None:
        try:
            self._socket.send(msgspec.json.encode(request), zmq.NOBLOCK)
        except zmq.Again:
            self.fault = f"requests to {self._endpoint} are not taken"

    def _receive(self) -> Reply | None:
        """Read one message; an answer to what was told is kept aside."""
        first, *parts = self._socket.recv_multipart()
        try:
            answer = parse_answer(first)
        except WireError as error:
            self.fault = f"{self._endpoint}: {error}"
            return None
        if isinstance(answer, Events) and len(parts) != 2 * answer.count:
            self.fault = (
                f"{self._endpoint}: an answer of {len(parts)} parts to {answer.count} events"
            )
            return None
        if self._asked is None or answer.id != self._asked.id:
            self._side_answers.append(answer)
        return Reply(answer, tuple(parts))
