"""The peer of a configured endpoint, for programs on the same machine."""

from __future__ import annotations

from stripwatch.config import Attach

_ANY_HOST = ("tcp://*:", "tcp://0.0.0.0:")


def peer_endpoint(endpoint: str, attach: Attach) -> tuple[str, Attach]:
    """The endpoint and attach that reach a daemon configured with these.

    One side binds and the other connects; a daemon bound to every interface is reached on
    loopback.
    """
    if attach == "connect":
        return endpoint, "bind"
    for any_host in _ANY_HOST:
        if endpoint.startswith(any_host):
            return f"tcp://127.0.0.1:{endpoint.removeprefix(any_host)}", "connect"
    return endpoint, "connect"
