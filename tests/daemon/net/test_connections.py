"""What a socket's monitor tells, turned into causes; and connections that are cut."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import zmq

from stripwatch.net.access import Refusal
from stripwatch.net.connections import Connections, bytes_received, cut, peer_of
from stripwatch.wire.causes import Cause

ACCEPTED, ENDED, DONE = (
    zmq.EVENT_ACCEPTED,
    zmq.EVENT_DISCONNECTED,
    zmq.EVENT_HANDSHAKE_SUCCEEDED,
)
PROTOCOL = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
OTHER, AUTH = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_AUTH
MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
CRYPTO = int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
NO_FD = 1_000_000  # a descriptor that this process does not have


def told(*events: tuple[int, int]) -> list[Cause]:
    """The causes that a sequence of events comes to."""
    connections = Connections("tcp://127.0.0.1:1", 3)
    refusals = [connections.take(*event) for event in events]
    return [refusal.cause for refusal in refusals if refusal]


@pytest.mark.parametrize(
    ("events", "causes"),
    [
        ([(ACCEPTED, NO_FD), (DONE, 0), (ENDED, NO_FD)], []),
        ([(ACCEPTED, NO_FD), (PROTOCOL, MISMATCH), (ENDED, NO_FD)], [Cause.NO_CURVE]),
        ([(ACCEPTED, NO_FD), (PROTOCOL, CRYPTO), (ENDED, NO_FD)], [Cause.WRONG_DAEMON_KEY]),
        ([(ACCEPTED, NO_FD), (PROTOCOL, 0x10000011), (ENDED, NO_FD)], [Cause.BAD_HANDSHAKE]),
        ([(ACCEPTED, NO_FD), (OTHER, errno.EAGAIN), (ENDED, NO_FD)], [Cause.HANDSHAKE_TIMEOUT]),
        ([(ACCEPTED, NO_FD), (OTHER, errno.EPIPE), (ENDED, NO_FD)], [Cause.BAD_HANDSHAKE]),
        # What is not ZeroMQ ends without a word.
        ([(ACCEPTED, NO_FD), (ENDED, NO_FD)], [Cause.BAD_HANDSHAKE]),
        # A key that the allow-list refuses was counted when it was asked about.
        ([(ACCEPTED, NO_FD), (AUTH, 300), (ENDED, NO_FD)], []),
        # An end that may be that of a good connection is not counted.
        ([(ACCEPTED, 1), (ACCEPTED, 2), (DONE, 0), (ENDED, 1)], []),
        # A failure belongs to the connection that ends next.
        (
            [(ACCEPTED, 1), (ACCEPTED, 2), (PROTOCOL, MISMATCH), (ENDED, 2), (DONE, 0), (ENDED, 1)],
            [Cause.NO_CURVE],
        ),
        # An end without a beginning: it was there before the monitor.
        ([(ENDED, 7)], []),
    ],
)
def test_events_come_to_causes(events: list[tuple[int, int]], causes: list[Cause]) -> None:
    assert told(*events) == causes


@pytest.fixture
def server() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, f"tcp://127.0.0.1:{server.getsockname()[1]}"


def test_above_the_limit_the_oldest_silent_one_is_cut(server: tuple[socket.socket, str]) -> None:
    """One that has said as much as a handshake takes stays; where all have, the newest goes."""
    listening, endpoint = server
    connections = Connections(endpoint, 3)
    with ExitStack() as stack:

        def connect(said: bytes) -> tuple[socket.socket, int, Refusal | None]:
            client = stack.enter_context(socket.create_connection(listening.getsockname(), 5))
            ours = stack.enter_context(listening.accept()[0])
            client.sendall(said)
            while bytes_received(ours.fileno()) < len(said):
                pass
            return client, ours.fileno(), connections.take(ACCEPTED, ours.fileno())

        talker, talker_fd, _ = connect(b"x" * 600)
        silent, silent_fd, _ = connect(b"")
        assert connect(b"x" * 600)[2] is None
        refusal = connect(b"x" * 600)[2]
        assert refusal == Refusal(Cause.TOO_MANY_CONNECTIONS, "127.0.0.1: more than 3 connections")
        silent.settimeout(5)
        assert silent.recv(1) == b"", "it is closed"
        assert connections.take(ENDED, silent_fd) is None, "counted already"
        newest = connect(b"x" * 600)[0]
        newest.settimeout(5)
        assert newest.recv(1) == b""
        talker.settimeout(0.05)
        with pytest.raises(TimeoutError):
            talker.recv(1)
        assert bytes_received(talker_fd) == 600


def test_a_descriptor_that_is_another_connection_by_now_is_not_cut(
    server: tuple[socket.socket, str],
) -> None:
    listening, endpoint = server
    with socket.create_connection(listening.getsockname(), 5) as client:
        ours, _ = listening.accept()
        with ours:
            assert peer_of(ours.fileno()) == "127.0.0.1"
            client.settimeout(0.05)
            cut(ours.fileno(), "tcp://127.0.0.1:1")
            cut(ours.fileno(), "ipc:///run/x")
            with pytest.raises(TimeoutError):
                client.recv(1)
            cut(ours.fileno(), endpoint)
            client.settimeout(5)
            assert client.recv(1) == b""
    cut(NO_FD, endpoint)
    assert peer_of(NO_FD) == ""


@pytest.mark.parametrize("name", ["{folder}/x", "@stripwatch-test-cut"])
def test_a_connection_of_an_ipc_endpoint_can_be_cut(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = name.format(folder=tmp_path_factory.mktemp("s"))
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(path.replace("@", "\0"))
        listening.listen()
        client.connect(path.replace("@", "\0"))
        with listening.accept()[0] as ours:
            cut(ours.fileno(), f"ipc://{path}")
            client.settimeout(5)
            assert client.recv(1) == b""
