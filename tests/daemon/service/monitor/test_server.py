"""The HTTP server for metrics: what it answers, and that strangers cannot harm it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http import HTTPStatus

import pytest
from structlog.testing import capture_logs

from stripwatch.errors import AddressError
from stripwatch.service.monitor.server import (
    CONNECTIONS_MAX,
    HOST,
    REQUEST_BYTES_MAX,
    Reply,
    Server,
)

BODY = b"x" * 100_000


def reply(path: str) -> Reply | None:
    if path == "/fails":
        raise OSError("no such thing")
    return Reply(HTTPStatus.OK, BODY) if path == "/page" else None


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(0, reply)
    server.start()
    yield server
    server.close()


def connect(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.port), timeout=10)


def ask(server: Server, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request; 0 where there was none."""
    with connect(server) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body


def test_a_page_is_served_whole(server: Server) -> None:
    assert ask(server, b"GET /page?x=1 HTTP/1.1\r\nHost: a\r\n\r\n") == (200, BODY)
    assert ask(server, b"HEAD /page HTTP/1.1\r\n\r\n") == (200, b"")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /page HTTP/1.1\r\nContent-Length: 3\r\n\r\n", 405),
        (b"GET /page\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
        (b"GET /page HTTP/1.1\r\nHost: a", 400),  # no end
        (b"", 400),
        (b"GET /" + b"a" * (REQUEST_BYTES_MAX - 5), 400),
    ],
)
def test_bad_requests_are_refused_and_the_next_is_served(
    server: Server, request_bytes: bytes, status: int
) -> None:
    assert ask(server, request_bytes)[0] == status
    assert ask(server, b"GET /page HTTP/1.1\r\n\r\n")[0] == 200


def test_a_request_without_an_end_is_read_up_to_a_limit(server: Server) -> None:
    """The client is cut off long before it has sent its 20 MB."""
    with connect(server) as client, pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.sendall(b"A" * 20_000_000)


def test_a_page_that_fails_is_said_once_in_the_log(server: Server) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            assert ask(server, b"GET /fails HTTP/1.1\r\n\r\n")[0] == 500
    assert [entry["path"] for entry in logged] == ["/fails"]


def test_connections_that_send_nothing_make_room_for_one_that_asks(server: Server) -> None:
    """The oldest is closed; a hundred idle clients do not keep the next from its answer."""
    with ExitStack() as idle:
        clients = [idle.enter_context(connect(server)) for _ in range(100)]
        assert ask(server, b"GET /page HTTP/1.1\r\n\r\n") == (200, BODY)
        clients[0].settimeout(10)
        assert clients[0].recv(1) == b""
        assert len(threading.enumerate()) < CONNECTIONS_MAX  # no thread for each


def test_a_client_that_sends_slowly_is_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then does not prolong its time."""
    monkeypatch.setattr("stripwatch.service.monitor.server.CONNECTION_S_MAX", 0.3)
    with connect(server) as client:
        client.settimeout(0.05)
        ended = False
        until_s = time.monotonic() + 20
        while not ended and time.monotonic() < until_s:
            try:
                client.sendall(b"G")
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended


def test_a_port_that_is_taken_is_refused_in_a_sentence(server: Server) -> None:
    with pytest.raises(AddressError, match=r"metrics\.port = \d+: .* choose another port"):
        Server(server.port, reply)


def test_the_port_is_on_the_loopback_address_alone(server: Server) -> None:
    """Nothing listens on the other addresses of this computer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this computer has no address but the loopback one")
        address = probe.getsockname()[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, server.port), timeout=10)


def test_close_ends_open_connections() -> None:
    server = Server(0, reply)
    server.start()
    with connect(server) as client:
        client.sendall(b"GET /pa")
        time.sleep(0.05)
        server.close()
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
