"""The door's limits, as far as they can be seen without clients."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from stripwatch.config.security import Security
from stripwatch.net.allow_list import AllowList, write_allow_list
from stripwatch.net.door import CONNECTIONS_MAX, DESCRIPTORS_MIN, Door, open_door
from stripwatch.net.keys import make_key
from stripwatch.net.sockets import open_socket


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    make_key(tmp_path / "daemon.key", "daemon")
    write_allow_list(tmp_path / "allowed.toml", AllowList())
    security = Security(
        key_file=str(tmp_path / "daemon.key"), allow_list=str(tmp_path / "allowed.toml")
    )
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    with zmq.Context() as context:
        door = open_door(context, security)
        assert door is not None
        yield door
        door.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_process_asks_for_descriptors_for_its_connections(door: Door) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(DESCRIPTORS_MIN, hard)
    assert sum(CONNECTIONS_MAX.values()) < soft or soft == hard
    assert door.rejected == {}


def test_it_ends_when_the_sockets_that_it_watches_are_closed(door: Door, endpoint: str) -> None:
    """Also one that was opened again in the meantime; nothing keeps the context open."""
    beats: list[int] = []
    door.start(lambda: beats.append(1))
    context = door._context
    for _ in range(2):
        socket = open_socket(
            context,
            "pull",
            endpoint,
            attach="bind",
            queue=1,
            message_bytes_max=10,
            curve=door.curve("frames"),
        )
        socket.close(0)
    door.close()
    assert door.failure is None
    assert beats
    assert door._watched == {}


def test_without_keys_there_is_no_door() -> None:
    with zmq.Context() as context:
        assert open_door(context, Security(allow_plaintext=True)) is None
