"""Addresses to bind to are those of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq

from stripwatch.errors import AddressError
from stripwatch.net.local_address import check_local

# 192.0.2.0/24 and .invalid belong to no machine (RFC 5737, RFC 2606).
FOREIGN = ["tcp://192.0.2.7:5550", "tcp://camera7.invalid:5550"]


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:1", "tcp://*:1", "tcp://lo:1", "tcp://localhost:1", "ipc:///tmp/x"],
)
def test_what_the_machine_has_is_good(endpoint: str) -> None:
    check_local(endpoint)


def test_the_folder_of_a_path_must_exist(tmp_path: Path) -> None:
    check_local(f"ipc://{tmp_path}/events")
    with pytest.raises(AddressError, match="nowhere does not exist; make it first"):
        check_local(f"ipc://{tmp_path}/nowhere/events")


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
