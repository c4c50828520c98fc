"""The peer of a configured endpoint, for programs on the same machine."""

from __future__ import annotations

from stripwatch.config.sections import Attach

_LOOPBACK = {
    "tcp://*:": "tcp://127.0.0.1:",
    "tcp://0.0.0.0:": "tcp://127.0.0.1:",
    "tcp://[::]:": "tcp://[::1]:",
}


def peer_endpoint(endpoint: str, attach: Attach) -> tuple[str, Attach]:
    """The endpoint and attach that reach a daemon configured with these.

    One side binds and the other connects; a daemon bound to every interface is reached on
    loopback.
    """
    if attach == "connect":
        return endpoint, "bind"
    for any_host, loopback in _LOOPBACK.items():
        if endpoint.startswith(any_host):
            return loopback + endpoint.removeprefix(any_host), "connect"
    return endpoint, "connect"
