"""Whether this machine has the address that an endpoint is to be bound to."""

from __future__ import annotations

import socket

from stripwatch.errors import AddressError

ANY_PORT = 0


def check_local(endpoint: str) -> None:
    """Refuse to bind a tcp endpoint whose host is no address or network interface of this machine.

    Raises:
        AddressError: it is neither; the daemon could not start.
    """
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
