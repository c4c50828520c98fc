"""The coil id from each kind of source, over its real protocol, and what a failure comes to."""

from __future__ import annotations

import asyncio
import http.server
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq

from stripwatch.camera.base import Buffer, BufferStatus
from stripwatch.camera.strip.follower import StripFollower
from stripwatch.camera.strip.place import Barrier, Placer
from stripwatch.camera.strip.state import ANSWER_BYTES_MAX, SourceFault, StripState, parse_strip
from stripwatch.config.cameras import FeatureValue, LineSource
from stripwatch.config.strip_source import StripSource, strip_source_mistakes
from stripwatch.errors import DeviceError

WAIT_S = 20.0
WAIT_MS = 20_000
POLL_S = 0.05


def frame(number: int, lines: int = 64, **chunks: int) -> Buffer:
    pixels = np.zeros((lines, 8), np.uint8)
    host_ns = 1_790_000_000_000_000_000 + number * 10**9
    return Buffer(pixels, number, None, host_ns, BufferStatus.COMPLETE, "", chunks, None)


@contextmanager
def following(source: StripSource) -> Iterator[Callable[[StripState], None]]:
    """A follower, and a function that waits until it knows something."""
    follower = StripFollower("top", source)

    def wait_for(state: StripState) -> None:
        until_s = time.monotonic() + WAIT_S
        while (follower.latest.strip, follower.latest.end) != (state.strip, state.end) or bool(
            follower.latest.fault
        ) != bool(state.fault):
            assert time.monotonic() < until_s, follower.latest
            time.sleep(0.01)

    try:
        yield wait_for
    finally:
        follower.close()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"COIL-7\n", StripState("COIL-7")),
        (b"  coil 7/a ", StripState("coil 7/a")),
        (b"", StripState()),
        (b"\r\n", StripState()),
        (b'{"strip": "COIL-7", "end": true}', StripState("COIL-7", end=True)),
        (b'{"strip": null}', StripState()),
        (b'{"other": 1}', StripState()),
    ],
)
def test_an_answer_is_a_name_or_an_object(answer: bytes, state: StripState) -> None:
    """As a shell script, a PLC or a level-2 system writes it."""
    assert parse_strip(answer) == state


@pytest.mark.parametrize(
    "answer",
    [
        b"x" * 65,
        b"two\nlines",
        b"\xff\xfe",
        b"{",
        b'{"strip": 7}',
        b'{"end": "yes"}',
        b"a" * (ANSWER_BYTES_MAX + 1),
        b'{"a":' + b"[" * 2000,
    ],
)
def test_an_answer_that_is_neither_is_a_fault(answer: bytes) -> None:
    """It never becomes a strip's name."""
    with pytest.raises(SourceFault):
        parse_strip(answer)


def test_a_file_tells_the_coil(tmp_path: Path) -> None:
    """It may come later, change, and go away."""
    path = tmp_path / "coil"
    with following(StripSource(kind="file", address=str(path), poll_s=POLL_S)) as wait_for:
        wait_for(StripState(fault="missing"))
        path.write_text("COIL-1\n")
        wait_for(StripState("COIL-1"))
        path.write_text('{"strip": "COIL-1", "end": true}')
        wait_for(StripState("COIL-1", end=True))
        path.write_text("")
        wait_for(StripState())
        path.unlink()
        wait_for(StripState(fault="missing"))


def test_a_folder_or_a_pipe_is_no_source(tmp_path: Path) -> None:
    """Reading a pipe would wait for ever."""
    for path in (tmp_path, Path("/dev/zero")):
        with following(StripSource(kind="file", address=str(path), poll_s=POLL_S)) as wait_for:
            wait_for(StripState(fault="not a file"))


def test_an_http_address_tells_the_coil() -> None:
    """A page that is not found is a fault, and so is a server that has gone."""
    answers = {"/coil": b'{"strip": "COIL-2"}'}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            self.send_response(200 if answer is not None else 404)
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/coil"
    try:
        with following(StripSource(kind="http", address=url, poll_s=POLL_S)) as wait_for:
            wait_for(StripState("COIL-2"))
            del answers["/coil"]
            wait_for(StripState(fault="404"))
            answers["/coil"] = b"COIL-3"
            wait_for(StripState("COIL-3"))
            server.shutdown()
            server.server_close()
            wait_for(StripState(fault="gone"))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_zeromq_messages_tell_the_coil() -> None:
    """The last part counts; what cannot be read makes the strip unknown, and the next is read."""
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.setsockopt(zmq.LINGER, 0)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    source = StripSource(kind="zmq", address=f"tcp://127.0.0.1:{port}", poll_s=POLL_S)
    try:
        with following(source) as wait_for:
            wait_for(StripState())
            assert publisher.poll(WAIT_MS)
            assert publisher.recv() == b"\x01"
            publisher.send_multipart([b"coil", b"COIL-4"])
            wait_for(StripState("COIL-4"))
            publisher.send(b"\xff")
            wait_for(StripState(fault="unreadable"))
            assert publisher.poll(WAIT_MS)
            while (subscription := publisher.recv()) != b"\x01":
                assert subscription == b"\x00"
            publisher.send(b'{"strip": "COIL-4", "end": true}')
            wait_for(StripState("COIL-4", end=True))
    finally:
        publisher.close()
        context.term()


def test_an_opc_ua_node_tells_the_coil() -> None:
    """Over the protocol itself; a server that is gone is a fault, and comes back."""
    asyncua = pytest.importorskip("asyncua", reason="the extra opcua is not installed")
    endpoint = "opc.tcp://127.0.0.1:24841"  # below those that connections get
    source = StripSource(kind="opcua", address=endpoint, node="ns=2;s=CoilId", poll_s=POLL_S)

    async def serve(wait_for: Callable[[StripState], None]) -> None:
        server = asyncua.Server()
        await server.init()
        server.set_endpoint(endpoint)
        await server.register_namespace("http://stripwatch.test")
        node = await server.nodes.objects.add_variable(
            asyncua.ua.NodeId("CoilId", 2), "CoilId", "COIL-5"
        )
        async with server:
            await asyncio.to_thread(wait_for, StripState("COIL-5"))
            await node.write_value('{"strip": "COIL-5", "end": true}')
            await asyncio.to_thread(wait_for, StripState("COIL-5", end=True))
            await node.write_value("")
            await asyncio.to_thread(wait_for, StripState())

    with following(source) as wait_for:
        wait_for(StripState(fault="no server"))
        asyncio.run(serve(wait_for))
        wait_for(StripState(fault="gone"))


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames go on without it."""
    monkeypatch.setitem(sys.modules, "asyncua.client.client", None)
    source = StripSource(kind="opcua", address="opc.tcp://127.0.0.1:1", node="i=1", poll_s=POLL_S)
    follower = StripFollower("top", source)
    until_s = time.monotonic() + WAIT_S
    while "extra 'opcua'" not in follower.latest.fault and time.monotonic() < until_s:
        time.sleep(0.01)
    follower.close()
    assert "extra 'opcua'" in follower.latest.fault


@pytest.mark.parametrize(
    ("kind", "address", "node", "is_right"),
    [
        ("file", "coil.txt", None, True),
        ("file", "coil\0.txt", None, False),  # found by fuzzing
        ("http", "http://mes:8080/coil", None, True),
        ("http", "mes:8080/coil", None, False),
        ("http", "file:///etc/passwd", None, False),
        ("zmq", "tcp://plc:5560", None, True),
        ("zmq", "plc:5560", None, False),
        ("opcua", "opc.tcp://plc:4840", "ns=2;s=Coil", True),
        ("opcua", "opc.tcp://plc:4840", None, False),
        ("opcua", "http://plc:4840", "ns=2;s=Coil", False),
        ("file", "coil.txt", "ns=2;s=Coil", False),
        ("barrier", "LineStatus", None, True),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(
    kind: str, address: str, node: str | None, is_right: bool
) -> None:
    """With the section's name and what is expected."""
    source = StripSource(kind=kind, address=address, node=node)  # type: ignore[arg-type]
    mistakes = strip_source_mistakes("cameras.source.strip of 'top'", source)
    assert bool(mistakes) is not is_right
    assert all(mistake.startswith("cameras.source.strip of 'top'") for mistake in mistakes)


def no_feature(name: str) -> FeatureValue:
    raise AssertionError(name)


def told(states: list[StripState]) -> Callable[[Buffer], StripState]:
    coming = iter(states)
    return lambda _: next(coming)


def test_a_strip_ends_once_and_what_follows_belongs_to_none() -> None:
    """A source that goes on telling the end does not end it again."""
    a, end, b = StripState("A"), StripState("A", end=True), StripState("B")
    placer = Placer(None, no_feature, told([a, end, end, a, b, StripState("B", end=True)]))
    places = [placer.place(frame(number)) for number in range(6)]
    assert [(place.strip, place.end) for place in places] == [
        ("A", False),
        ("A", True),
        (None, False),
        (None, False),
        ("B", False),
        ("B", True),
    ]


def test_lines_begin_with_the_strip_and_count_lost_frames() -> None:
    """Without an encoder: frame ids times height."""
    a, b = StripState("A"), StripState("B")
    placer = Placer(None, no_feature, told([a, a, a, b, b]))
    places = [placer.place(frame(number)) for number in (7, 8, 11, 12, 13)]
    assert [place.line for place in places] == [0, 64, 256, 0, 64]


def test_a_source_that_fails_for_a_while_does_not_begin_the_strip_anew() -> None:
    """The coil id is unknown meanwhile, the line goes on."""
    a, fault = StripState("A"), StripState(fault="gone")
    counter = LineSource(chunk="Encoder")
    placer = Placer(counter, no_feature, told([a, fault, a, StripState("B")]))
    places = [placer.place(frame(number, Encoder=1000 + 64 * number)) for number in range(4)]
    assert [place.strip for place in places] == ["A", None, "A", "B"]
    assert [place.line for place in places] == [0, 64, 128, 0]
    assert placer.fault == ""


def test_a_light_barrier_makes_strips() -> None:
    """The frame in which the strip ends belongs to it, and the next strip has another name."""
    values: Iterator[bool] = iter([False, True, True, False, False, True])
    barrier = Barrier("top", "LineStatus", lambda _: next(values))
    placer = Placer(None, no_feature, barrier.state)
    places = [placer.place(frame(number)) for number in range(6)]
    first, second = "top-20260921T141321", "top-20260921T141325"
    assert [(place.strip, place.end) for place in places] == [
        (None, False),
        (first, False),
        (first, False),
        (first, True),
        (None, False),
        (second, False),
    ]
    assert [place.line for place in places[1:4]] == [0, 64, 128]
    assert places[5].line == 0


def test_a_barrier_that_cannot_be_read_is_a_fault() -> None:
    """Frames go on."""

    def read(name: str) -> FeatureValue:
        raise DeviceError(f"the camera has no feature {name}")

    placer = Placer(None, read, Barrier("top", "LineStatus", read).state)
    assert placer.place(frame(0)).strip is None
    assert "LineStatus" in placer.fault
