"""Whether this machine has the address, or the folder, that an endpoint is to be bound to."""

from __future__ import annotations

import socket
from pathlib import Path

from stripwatch.errors import AddressError

ANY_PORT = 0


def check_local(endpoint: str) -> None:
    """Refuse to bind an endpoint that this machine cannot have.

    Raises:
        AddressError: a tcp host is no address or network interface of this machine, or the folder
            of an ipc path does not exist; the daemon could not start.
    """
    if endpoint.startswith("ipc:///"):
        folder = Path(endpoint.removeprefix("ipc://")).parent
        if not folder.is_dir():
            raise AddressError(f"{endpoint}: the folder {folder} does not exist; make it first")
    host, _, _ = endpoint.removeprefix("tcp://").rpartition(":")
    if not endpoint.startswith("tcp://") or host == "*":
        return
    interfaces = [name for _, name in socket.if_nameindex()]
    if host in interfaces or _is_local(host.strip("[]")):
        return
    raise AddressError(
        f"{endpoint}: this machine has no address or network interface {host}; it has the "
        f"interfaces {', '.join(interfaces)}; give one of them, an address of this machine, or "
        "* for all"
    )


def _is_local(host: str) -> bool:
    """Whether a socket can be bound to an address, or to one of those that a name stands for."""
    try:
        found = socket.getaddrinfo(host, ANY_PORT, type=socket.SOCK_STREAM)
    except OSError:  # gaierror is one
        return False
    return any(_can_bind(family, address) for family, _, _, _, address in found)


def _can_bind(family: int, address: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True
