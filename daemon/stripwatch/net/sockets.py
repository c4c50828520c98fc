"""ZeroMQ sockets as every part of the project opens them: bounded, and with clear errors."""

from __future__ import annotations

import socket as operating_system
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import zmq

from stripwatch.errors import AddressError
from stripwatch.net.curve import Curve, secure

IPC_PATH_BYTES_MAX = 107  # sun_path of Linux, less the final 0: unix(7)
PROBE_S = 1.0  # for a process that listens to take a connection
PARTS_MAX = 1024  # of a message that are read one by one to get rid of them
REOPEN_S_MAX = 5.0  # for the address to become free
REOPEN_RETRY_S = 0.01
# Less than a fault takes to be over (service/faults.py): a refused client that tries again and
# again is one fault in the log.
HANDSHAKE_MS_MAX = 3000  # then a connection that is not yet one is closed
CURVE_BYTES = 64  # that encryption adds to a message part, and some
HANDSHAKE_BYTES_MAX = 1024  # of a part; a limit below it would end every handshake
BACKLOG = 100  # connections that the system holds until they are accepted
CLOSING_S_MAX = 0.2  # from the close of a socket of ours until it no longer listens

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
Kind = Literal["sub", "pull", "xpub", "push", "router", "dealer"]
_KINDS = {
    "sub": zmq.SUB,
    "pull": zmq.PULL,
    "xpub": zmq.XPUB,
    "push": zmq.PUSH,
    "router": zmq.ROUTER,
    "dealer": zmq.DEALER,
}
_TAKEN = "another process has it; is a second stripwatch running?"


def open_socket(
    context: Context,
    kind: Kind,
    endpoint: str,
    *,
    attach: Literal["bind", "connect"],
    queue: int,
    message_bytes_max: int,
    curve: Curve | None = None,
) -> Socket:
    """Open a socket that queues at most `queue` messages per peer, each at most so long.

    A longer message makes libzmq drop the peer's connection before it is read. With `curve` it is
    encrypted, and lets nobody in that does not use CURVE.

    Raises:
        AddressError: the endpoint cannot be bound or connected.
    """
    path = ipc_path(endpoint)
    fault = "" if path is None else _path_fault(path) if attach == "bind" else _length_fault(path)
    if fault:
        raise AddressError(f"cannot {attach} {endpoint}: {fault}")
    socket = context.socket(_KINDS[kind])
    socket.set_hwm(queue)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, endpoint.startswith("tcp://["))
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS_MAX)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    if curve is not None:
        secure(socket, curve, endpoint)
        message_bytes_max = max(message_bytes_max + CURVE_BYTES, HANDSHAKE_BYTES_MAX)
    socket.setsockopt(zmq.MAXMSGSIZE, message_bytes_max)
    try:
        if attach == "bind":
            socket.bind(endpoint)
        else:
            socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise AddressError(f"cannot {attach} {endpoint}: {_reason(error)}") from error
    return socket


def has_more(socket: Socket) -> bool:
    """Whether the message being read has another part."""
    return bool(socket.getsockopt(zmq.RCVMORE))


def discard_rest(socket: Socket) -> bool:
    """Discard the rest of a message; False: only closing the socket gets rid of it in time."""
    for _ in range(PARTS_MAX):
        if not has_more(socket):
            return True
        socket.recv_into(bytearray())  # discards the part
    return not has_more(socket)


def reopen(open_again: Callable[[], Socket], beat: Callable[[], None]) -> Socket:
    """Open a socket whose endpoint a closed one of ours had a moment ago.

    Args:
        open_again: opens it.
        beat: called while waiting for the address.

    Raises:
        AddressError: the address did not become free in time.
    """
    until_s = time.monotonic() + REOPEN_S_MAX
    while True:
        try:
            return open_again()
        except AddressError:
            if time.monotonic() > until_s:
                raise
            beat()
            time.sleep(REOPEN_RETRY_S)


def ipc_path(endpoint: str) -> Path | None:
    """The file of an ipc endpoint; None for others, and for Linux's abstract names (ipc://@...)."""
    path = endpoint.removeprefix("ipc://")
    return None if path == endpoint or path.startswith("@") else Path(path)


def _length_fault(path: Path) -> str:
    if len(str(path).encode()) > IPC_PATH_BYTES_MAX:
        return f"the path is longer than {IPC_PATH_BYTES_MAX} bytes; choose a shorter one"
    return ""


def _path_fault(path: Path) -> str:
    """Why a path cannot be bound; "" where it can.

    libzmq replaces whatever file is there when it binds, also one that a living process serves.
    """
    try:
        if not path.parent.is_dir():
            return f"the folder {path.parent} does not exist"
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _length_fault(path)
    except OSError as error:
        return f"{error.strerror}; check the path and its permissions"
    if not stat.S_ISSOCK(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a file"
        return f"{path} is {kind}; choose another path"
    return _TAKEN if _is_served(path) else ""


def _is_served(path: Path) -> bool:
    """Whether a process listens on a Unix socket; one that was killed leaves the file behind."""
    until_s = time.monotonic() + CLOSING_S_MAX
    while _accepts(path):
        if time.monotonic() > until_s:
            return True
        time.sleep(CLOSING_S_MAX / 20)
    return False


def _accepts(path: Path) -> bool:
    with operating_system.socket(operating_system.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # it listens and is busy, or belongs to another user
            return True
    return True


def _reason(error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return _TAKEN
    return f"{error.strerror}; check host, port and permissions"
