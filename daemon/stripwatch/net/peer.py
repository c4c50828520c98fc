"""The other end of an endpoint in the configuration, for programs on the same machine."""

from __future__ import annotations

from stripwatch.config import Attach

_ANY_HOST = ("tcp://*:", "tcp://0.0.0.0:")


def other_end(endpoint: str, attach: Attach) -> tuple[str, Attach]:
    """Where to attach, and how, to meet a daemon that attaches to `endpoint` so.

    One side binds and the other connects; a daemon bound to every interface is met on loopback.
    """
    if attach == "connect":
        return endpoint, "bind"
    for any_host in _ANY_HOST:
        if endpoint.startswith(any_host):
            return f"tcp://127.0.0.1:{endpoint.removeprefix(any_host)}", "connect"
    return endpoint, "connect"
