"""The asking socket: it asks again, with a new socket, until the daemon is there."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import zmq

from stripwatch.client.requester import Requester
from stripwatch.net.sockets import Socket
from stripwatch.wire.requests import Acknowledged, AskStatus, Events, StatusAnswer

WAIT_S, WAIT_MS = 20.0, 20_000


@pytest.fixture
def router(endpoint: str) -> Iterator[Socket]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(endpoint)
        yield socket


@pytest.fixture
def requester(endpoint: str) -> Iterator[Requester]:
    with zmq.Context() as context:
        requester = Requester(context, endpoint)
        yield requester
        requester.close()


def answer(router: Socket, *parts: bytes | msgspec.Struct) -> bytes:
    """Read a request and answer it; returns the client's identity."""
    assert router.poll(WAIT_MS)
    identity, _ = router.recv_multipart()
    encoded = [part if isinstance(part, bytes) else msgspec.json.encode(part) for part in parts]
    router.send_multipart([identity, *encoded])
    return identity


@pytest.mark.slow
def test_a_request_that_is_not_answered_is_sent_again_by_a_new_socket(
    requester: Requester, router: Socket, endpoint: str
) -> None:
    """The fault is known meanwhile, and gone with the answer."""
    requester.ask(AskStatus(id="1"))
    assert router.poll(WAIT_MS)
    first, _ = router.recv_multipart()  # and no answer
    while not router.poll(0):
        assert requester.reply(0.1) is None
        assert requester.is_asking
    assert endpoint in requester.fault
    second = answer(router, StatusAnswer(id="1", status=None))
    assert second != first
    reply = requester.reply(WAIT_S)
    assert reply is not None
    assert reply.answer == StatusAnswer(id="1", status=None)
    assert (requester.fault, requester.is_asking) == ("", False)


def test_answers_to_others_and_nonsense_are_passed_over(
    requester: Requester, router: Socket
) -> None:
    told = Acknowledged(id="0", reader="r", stream="s", seq=1)
    requester.tell(AskStatus(id="0"))
    answer(router, told)
    requester.ask(AskStatus(id="1"))
    identity = answer(router, b"nonsense")
    page = Events(id="1", stream="s", count=2, through_seq=2, last_seq=2)
    for parts in ([msgspec.json.encode(page), b"one"], [msgspec.json.encode(page), *b"abcd"]):
        encoded = [part if isinstance(part, bytes) else bytes([part]) for part in parts]
        router.send_multipart([identity, *encoded])
    reply = requester.reply(WAIT_S)
    assert reply is not None
    assert (reply.answer, reply.parts) == (page, (b"a", b"b", b"c", b"d"))
    assert requester.side_answers() == [told]
    assert requester.side_answers() == []


def test_nothing_waits_for_a_daemon_that_is_away(requester: Requester) -> None:
    """Requests beyond the queue are dropped, and asked again later."""
    for number in range(100):
        requester.tell(AskStatus(id=str(number)))
    requester.ask(AskStatus(id="last"))
    assert requester.reply(0.05) is None
    assert requester.fault
