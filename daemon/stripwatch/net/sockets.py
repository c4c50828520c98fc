"""ZeroMQ sockets as every part of the project opens them: bounded, and with clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import zmq

from stripwatch.errors import AddressError

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
Kind = Literal["sub", "pull", "xpub", "push"]
_KINDS = {
    "sub": zmq.SUB,
    "pull": zmq.PULL,
    "xpub": zmq.XPUB,
    "push": zmq.PUSH,
}


def open_socket(
    context: Context,
    kind: Kind,
    endpoint: str,
    *,
    attach: Literal["bind", "connect"],
    queue: int,
    message_bytes_max: int,
) -> Socket:
    """Open a socket that queues at most `queue` messages per peer, each at most so long.

    A longer message makes libzmq drop the peer's connection before it is read.

    Raises:
        AddressError: the endpoint cannot be bound or connected.
    """
    socket = context.socket(_KINDS[kind])
    socket.set_hwm(queue)
    socket.setsockopt(zmq.MAXMSGSIZE, message_bytes_max)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        if attach == "bind":
            socket.bind(endpoint)
        else:
            socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise AddressError(f"cannot {attach} {endpoint}: {_reason(endpoint, error)}") from error
    return socket


def _reason(endpoint: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return "another process has it; is a second stripwatch running?"
    if endpoint.startswith("ipc://"):
        folder = Path(endpoint.removeprefix("ipc://")).parent
        if not folder.is_dir():
            return f"the folder {folder} does not exist"
    return f"{error.strerror}; check host and port"
