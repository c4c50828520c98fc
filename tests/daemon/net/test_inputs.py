"""The frame inputs' sockets, opened together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from stripwatch.config.sections import Input
from stripwatch.errors import AddressError
from stripwatch.net.inputs import close_inputs, open_inputs
from stripwatch.net.sockets import Context


@pytest.fixture
def context() -> Iterator[Context]:
    with zmq.Context() as context:  # leaving it hangs while a socket is open
        yield context


def test_each_input_gets_its_socket_in_order(context: Context, tmp_path: Path) -> None:
    entries = (
        Input(endpoint=f"ipc://{tmp_path}/a", pattern="pull"),
        Input(endpoint=f"ipc://{tmp_path}/b", pattern="sub"),
    )
    opened = open_inputs(context, entries, message_bytes_max=1000)
    assert [(entry.endpoint, entry.socket.type, entry.waits) for entry in opened] == [
        (f"ipc://{tmp_path}/a", zmq.PULL, True),
        (f"ipc://{tmp_path}/b", zmq.SUB, False),
    ]
    assert [entry.socket.getsockopt(zmq.MAXMSGSIZE) for entry in opened] == [1000, 1000]
    close_inputs(opened)
    assert all(entry.socket.closed for entry in opened)


def test_a_sub_input_hears_every_camera(context: Context, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/frames"
    opened = open_inputs(context, (Input(endpoint=endpoint),), message_bytes_max=1000)
    sender = context.socket(zmq.XPUB)
    try:
        sender.connect(endpoint)
        while not sender.poll(10):
            opened[0].socket.poll(10)  # libzmq subscribes while the socket is in use
        assert sender.recv() == b"\x01frame."
    finally:
        sender.close(0)
        close_inputs(opened)


def test_a_refused_endpoint_leaves_no_socket_open(context: Context, tmp_path: Path) -> None:
    """Otherwise ending the context would wait for ever; the first endpoint is free again."""
    good = Input(endpoint=f"ipc://{tmp_path}/good")
    bad = Input(endpoint=f"ipc://{tmp_path}/missing/bad")
    with pytest.raises(AddressError, match="does not exist"):
        open_inputs(context, (good, bad), message_bytes_max=1000)
    close_inputs(open_inputs(context, (good,), message_bytes_max=1000))
