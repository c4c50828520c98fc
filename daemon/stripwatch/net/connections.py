"""The connections of one socket, as its monitor tells of them: how many, and which failed, why.

libzmq names the descriptor of a connection when it begins and when it ends. That its handshake
failed it says just before the end, without the descriptor; of one that is not ZeroMQ at all it
says nothing more than the end.
"""

from __future__ import annotations

import errno
import math
import os
import socket as operating_system
import struct
from contextlib import suppress

import zmq

from stripwatch.net.access import Refusal
from stripwatch.wire.causes import Cause

EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
HANDSHAKE_BYTES_MIN = 512  # of a client: greeting 64, HELLO 202, INITIATE 259 and more
_TCP_INFO_BYTES, _TCP_INFO_RECEIVED = 192, 128  # linux/tcp.h: its size, tcpi_bytes_received
_FAILURES: dict[tuple[int, int], tuple[Cause, str]] = {
    (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): (
        Cause.NO_CURVE,
        "does not use CURVE",
    ),
    (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): (
        Cause.WRONG_DAEMON_KEY,
        "has another public key for this daemon",
    ),
    (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno.EAGAIN): (
        Cause.HANDSHAKE_TIMEOUT,
        "connected and did not say enough",
    ),
}
_OTHER_FAILURE = (
    Cause.BAD_HANDSHAKE,
    "is not ZeroMQ, or ended the connection early (as one without CURVE may do)",
)


class Connections:
    """Belongs to the thread that reads the monitor."""

    def __init__(self, endpoint: str, connections_max: int) -> None:
        self.endpoint = endpoint
        self._connections_max = connections_max
        self._peers: dict[int, tuple[str, int]] = {}  # address, and handshakes done before
        self._cut: set[int] = set()
        self._failure: tuple[int, int] | None = None  # of the connection that ends next
        self._done = 0  # handshakes
        self._refused = 0  # by the allow-list; they end without a further word

    def take(self, event: int, value: int) -> Refusal | None:
        """Take in an event of the monitor; returns what is to be counted."""
        match event:
            case zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED:
                return self._begin(value)
            case zmq.EVENT_DISCONNECTED:
                return self._end(value)
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._done += 1
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._refused += 1
            case _:
                self._failure = (event, value)
        return None

    def _begin(self, descriptor: int) -> Refusal | None:
        self._peers[descriptor] = (peer_of(descriptor), self._done)
        if len(self._peers) <= self._connections_max:
            return None
        # In place of the newest, which may be a good one, the oldest that has said too little.
        victim = next(filter(self._is_silent, self._peers), descriptor)
        self._cut.add(victim)
        cut(victim, self.endpoint)
        detail = f"{self._peers[victim][0]}: more than {self._connections_max} connections"
        return Refusal(Cause.TOO_MANY_CONNECTIONS, detail)

    def _is_silent(self, descriptor: int) -> bool:
        return descriptor not in self._cut and bytes_received(descriptor) < HANDSHAKE_BYTES_MIN

    def _end(self, descriptor: int) -> Refusal | None:
        failure, self._failure = self._failure, None
        peer, done_before = self._peers.pop(descriptor, ("", -1))
        if descriptor in self._cut:
            self._cut.discard(descriptor)
            return None
        if failure is None:
            if done_before != self._done:
                return None  # it may be the one whose handshake was done
            if self._refused:
                self._refused -= 1
                return None
            cause, words = _OTHER_FAILURE
        else:
            cause, words = _FAILURES.get(failure, _OTHER_FAILURE)
        return Refusal(cause, f"{peer or 'a peer'} {words}")


def sender_of(frame: zmq.Frame) -> tuple[str | None, int]:
    """The name of the key over whose connection a part came, and the connection's descriptor.

    None and -1 where libzmq made the part by itself, such as the end of a subscription.
    """
    try:
        # The descriptor has no other name since libzmq 4.3 (ZMQ_SRCFD reads the same).
        return str(frame.get("User-Id")), int(frame.get("__fd"))
    except zmq.ZMQError:
        return None, -1


def peer_of(descriptor: int) -> str:
    """The address of the peer of a connection; "" where it has none."""
    try:
        with operating_system.socket(fileno=os.dup(descriptor)) as connection:
            address = connection.getpeername()
    except OSError:  # it has ended
        return ""
    return address[0] if isinstance(address, tuple) else "a process on this computer"


def bytes_received(descriptor: int) -> float:
    """How many bytes have come over a connection of tcp; infinite for others."""
    try:
        with operating_system.socket(fileno=os.dup(descriptor)) as connection:
            info = connection.getsockopt(
                operating_system.IPPROTO_TCP, operating_system.TCP_INFO, _TCP_INFO_BYTES
            )
        (received,) = struct.unpack_from("=Q", info, _TCP_INFO_RECEIVED)
    except (OSError, struct.error):  # it has ended, or is a Unix socket, or Linux is too old
        return math.inf
    return int(received)


def cut(descriptor: int, endpoint: str) -> None:
    """End a connection, if the descriptor still is one of the endpoint; libzmq closes it then."""
    with (
        suppress(OSError),
        operating_system.socket(fileno=os.dup(descriptor)) as connection,
    ):
        ends = (connection.getsockname(), connection.getpeername())
        if any(_is_end(end, endpoint) for end in ends):
            connection.shutdown(operating_system.SHUT_RDWR)


def _is_end(address: object, endpoint: str) -> bool:
    if isinstance(address, tuple):
        return endpoint.endswith(f":{address[1]}")
    path = address.decode() if isinstance(address, bytes) else str(address)
    return endpoint == f"ipc://{path.replace(chr(0), '@')}"
