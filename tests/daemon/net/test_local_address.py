"""Addresses to bind to are those of this machine."""

from __future__ import annotations

import pytest
import zmq

from stripwatch.errors import AddressError
from stripwatch.net.local_address import check_local

# 192.0.2.0/24 and .invalid belong to no machine (RFC 5737, RFC 2606).
FOREIGN = ["tcp://192.0.2.7:5550", "tcp://camera7.invalid:5550"]


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:1", "tcp://*:1", "tcp://lo:1", "tcp://localhost:1", "ipc://x"]
)
def test_what_the_machine_has_is_good(endpoint: str) -> None:
    check_local(endpoint)


@pytest.mark.parametrize("endpoint", FOREIGN)
def test_what_it_has_not_is_refused_as_zeromq_would(endpoint: str) -> None:
    with pytest.raises(AddressError, match="this machine has no address"):
        check_local(endpoint)
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as zmq_socket,
        pytest.raises(zmq.ZMQError),
    ):
        zmq_socket.bind(endpoint)
