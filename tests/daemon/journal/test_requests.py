"""The requests thread at its socket: every kind of client is answered, and none has it alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import zmq
from tests.daemon.journal.conftest import record

from stripwatch.journal.answers import Answers
from stripwatch.journal.records import Transaction
from stripwatch.journal.requests import MESSAGE_BYTES_MAX, QUEUE, RequestServer
from stripwatch.journal.store import Journal
from stripwatch.net.sockets import PARTS_MAX, Socket
from stripwatch.wire.requests import (
    REQUEST_BYTES_MAX,
    Answer,
    AskStatus,
    Error,
    Events,
    Since,
    StatusAnswer,
    parse_answer,
)

WAIT_MS = 10_000
STATUS = msgspec.json.encode(AskStatus(id="status"))


@pytest.fixture
def server(journal: Journal, endpoint: str) -> Iterator[threading.Thread]:
    """A running server on the journal."""
    context = zmq.Context()
    stop = threading.Event()
    server = RequestServer(context, endpoint, Answers(journal.path.parent, lambda: None))
    thread = threading.Thread(target=server.run, args=(stop, lambda: None))
    thread.start()
    yield thread
    assert thread.is_alive()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    context.term()


@contextmanager
def client(endpoint: str, kind: int = zmq.DEALER, queue: int = 1000) -> Iterator[Socket]:
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.set_hwm(queue)
        socket.connect(endpoint)
        yield socket


def receive(socket: Socket) -> tuple[Answer, list[bytes]]:
    assert socket.poll(WAIT_MS)
    first, *parts = socket.recv_multipart()
    return parse_answer(first), parts


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_dealers_and_reqs_are_answered(endpoint: str, kind: int) -> None:
    with client(endpoint, kind) as socket:
        for number in ("a", "b"):
            socket.send(msgspec.json.encode(Since(id=number, stream=None, seq=8)))
            answer, parts = receive(socket)
            assert isinstance(answer, Events)
            assert (answer.id, len(parts)) == (number, 4)


@pytest.mark.usefixtures("server")
def test_a_dealer_that_sends_the_empty_part_gets_it_back(endpoint: str) -> None:
    with client(endpoint) as socket:
        socket.send_multipart([b"", STATUS])
        assert socket.poll(WAIT_MS)
        empty, first = socket.recv_multipart()
        assert empty == b""
        assert isinstance(parse_answer(first), StatusAnswer)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"not JSON"],
        [b"[" * 60_000],
        [b" " * (REQUEST_BYTES_MAX + 1)],
        [b" " * MESSAGE_BYTES_MAX],
        [STATUS, STATUS],
        [b"", b"", STATUS],
        [b"", STATUS, b""],
        [STATUS] * PARTS_MAX,
    ],
    ids=["empty", "text", "deep", "long", "longest", "two", "empties", "rest", "many"],
)
def test_whatever_is_sent_gets_an_error_and_the_next_request_its_answer(
    endpoint: str, parts: list[bytes]
) -> None:
    with client(endpoint) as socket:
        for _ in range(2):
            socket.send_multipart(parts)
            *_, first = socket.recv_multipart() if socket.poll(WAIT_MS) else [b""]
            answer = parse_answer(first)
            assert isinstance(answer, Error)
            assert answer.error == "bad_request"
        socket.send(STATUS)
        assert isinstance(receive(socket)[0], StatusAnswer)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "parts", [[b" " * (MESSAGE_BYTES_MAX + 1)], [b""] * (20 * PARTS_MAX)], ids=["long", "parts"]
)
def test_a_monster_costs_its_sender_the_connection(endpoint: str, parts: list[bytes]) -> None:
    """Another client, and the same one later, are answered."""
    with client(endpoint) as monster, client(endpoint) as other:
        monster.send_multipart(parts)
        until_s = time.monotonic() + WAIT_MS / 1e3
        for socket in (other, monster):
            while not socket.poll(200):  # what was sent to a closed connection is lost
                assert time.monotonic() < until_s
                socket.send(STATUS)
            assert isinstance(receive(socket)[0], StatusAnswer)


@pytest.mark.usefixtures("server")
def test_a_flood_of_one_client_does_not_keep_another_waiting(
    endpoint: str, journal: Journal
) -> None:
    """ROUTER takes one request of each client in turn."""
    payload = b"z" * 2000
    journal.append(Transaction([record(seq, payload=payload) for seq in range(11, 1011)]))
    floods = 300
    with client(endpoint) as greedy, client(endpoint) as modest:
        modest.send(STATUS)
        receive(modest)  # both are connected when the flood begins
        for number in range(floods):
            greedy.send(msgspec.json.encode(Since(id=str(number), stream=None, seq=0)))
        assert isinstance(receive(greedy)[0], Events)
        modest.send(STATUS)
        assert isinstance(receive(modest)[0], StatusAnswer)
        answered = 1
        while greedy.poll(0):
            greedy.recv_multipart()
            answered += 1
        assert answered < floods / 2


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_client_that_does_not_read_has_few_open_answers(endpoint: str, journal: Journal) -> None:
    """What is more is dropped; others go on, and so does the client once it reads."""
    payload = b"z" * 900_000
    journal.append(Transaction([record(seq, payload=payload) for seq in range(11, 21)]))
    requests = 60
    page = Since(id="page", stream=None, seq=10)
    with client(endpoint, queue=1) as lazy, client(endpoint) as other:
        for _ in range(requests):
            lazy.send(msgspec.json.encode(page))
            other.send(STATUS)
            assert isinstance(receive(other)[0], StatusAnswer)
        answers = 0
        while lazy.poll(1000):
            lazy.recv_multipart()
            answers += 1
        assert QUEUE <= answers < requests
        lazy.send(STATUS)
        assert isinstance(receive(lazy)[0], StatusAnswer)


@pytest.mark.usefixtures("server")
def test_ten_million_events_are_asked_for_in_pages(endpoint: str) -> None:
    """More than a page in one answer is refused, with the limit."""
    with client(endpoint) as socket:
        socket.send(b'{"type":"since","id":"all","stream":null,"seq":0,"events_max":10000000}')
        answer, _ = receive(socket)
        assert isinstance(answer, Error)
        assert "1000" in answer.message
