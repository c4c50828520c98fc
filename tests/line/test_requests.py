"""Requests to the real pipeline in this process."""

from __future__ import annotations

import msgspec
import pytest
import zmq

from stripwatch import DaemonStart, Gap, Renumbered, Subscriber
from stripwatch.testing import WAIT_S, FakeLine, fake_line
from stripwatch.wire.requests import Answer, AskStatus, StatusAnswer, parse_answer


def ask(line: FakeLine, body: bytes) -> Answer:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(line.requests_endpoint)
        socket.send(body)
        assert socket.poll(int(WAIT_S * 1e3))
        return parse_answer(socket.recv_multipart()[0])


def test_the_latest_status_is_answered() -> None:
    """It is the one that was published."""
    with fake_line() as line:
        line.wait(lambda: line.pipeline.telemetry.latest is not None)
        answer = ask(line, msgspec.json.encode(AskStatus(id="1")))
        assert isinstance(answer, StatusAnswer)
        assert answer.status is not None
        assert answer.status.stream == line.pipeline.outbox.stream
        assert answer.status.state == "OK"


def test_a_bug_in_the_requests_thread_ends_the_daemon_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that is gone must not look like a daemon that is well."""
    with fake_line() as line:
        assert line.pipeline.failure is None
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(line.requests_endpoint)
            assert line.pipeline._requests is not None
            monkeypatch.setattr(line.pipeline._requests, "_answers", None)
            socket.send(b"{}")
            line.wait(lambda: line.pipeline.failure is not None)
        assert isinstance(line.pipeline.failure, AttributeError)


def test_a_journal_removed_under_the_daemon_is_told_and_read_anew() -> None:
    """The subscriber goes on with the new stream, from its first event."""
    with (
        fake_line() as line,
        Subscriber(
            line.events_endpoint,
            ("gap", "daemon"),
            requests=line.requests_endpoint,
            reader="press",
            start="beginning",
        ) as events,
    ):
        start = events.receive(WAIT_S)
        assert isinstance(start, DaemonStart)
        for file in line.pipeline._journal.path.parent.glob("*.db*"):
            file.unlink()
        for seq in (0, 2):
            line.camera.send("top", "s", seq)
        renumbered, gap = events.receive(WAIT_S), events.receive(WAIT_S)
        assert isinstance(renumbered, Renumbered)
        assert (renumbered.old_stream, renumbered.old_seq) == (start.stream, start.seq)
        assert isinstance(gap, Gap)
        assert (gap.stream, gap.seq) == (renumbered.stream, 1)
        assert events.acknowledge()
