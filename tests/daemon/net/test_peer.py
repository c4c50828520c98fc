"""The peer of a configured endpoint."""

from __future__ import annotations

import pytest

from stripwatch.config.sections import Attach
from stripwatch.net.peer import peer_endpoint


@pytest.mark.parametrize(
    ("endpoint", "attach", "peer"),
    [
        ("tcp://10.0.0.7:5550", "bind", ("tcp://10.0.0.7:5550", "connect")),
        ("tcp://*:5550", "bind", ("tcp://127.0.0.1:5550", "connect")),
        ("tcp://0.0.0.0:5550", "bind", ("tcp://127.0.0.1:5550", "connect")),
        ("ipc:///run/frames", "bind", ("ipc:///run/frames", "connect")),
        ("tcp://camera:5550", "connect", ("tcp://camera:5550", "bind")),
    ],
)
def test_one_side_binds_and_the_other_connects(
    endpoint: str, attach: Attach, peer: tuple[str, str]
) -> None:
    """A daemon on every interface is reached on loopback."""
    assert peer_endpoint(endpoint, attach) == peer
