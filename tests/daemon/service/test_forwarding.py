"""The life of a forwarder: what it reports, and how it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.journal.conftest import record

from stripwatch.errors import ExitCode, SinkError
from stripwatch.journal.positions import Positions
from stripwatch.journal.records import Transaction
from stripwatch.journal.store import Journal
from stripwatch.outputs.forward import Forwarder
from stripwatch.service.forward_status import DaemonStatus
from stripwatch.service.forwarding import Forwarding
from stripwatch.service.sdnotify import Notifier

WAIT_S = 20.0


class OneSink:
    """Takes everything, and acknowledges it where it is told to."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.unheard = 0
        self.sent: list[tuple[str, bytes]] = []
        self.statuses: list[dict[str, Any]] = []
        self.left = False
        self._acknowledges = acknowledges
        self._waiting = 0
        self.faults = 0  # connections that fail before one works

    def connect(self) -> int:
        if self.faults:
            self.faults -= 1
            raise SinkError("is not there")
        return 10

    def send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))
        self._waiting += 1

    def acknowledged(self, wait_s: float) -> int:
        time.sleep(wait_s)
        count, self._waiting = (self._waiting, 0) if self._acknowledges else (0, self._waiting)
        return count

    def report(self, status: bytes) -> None:
        self.statuses.append(json.loads(status))

    def leave(self, status: bytes) -> None:
        self.report(status)
        self.left = True

    def close(self) -> None: ...


@contextmanager
def running(
    folder: Path, sink: OneSink, notifier: Notifier, *, drain_timeout_s: float = 5.0
) -> Iterator[Callable[[], ExitCode]]:
    """A forwarder in a thread; the value stops it and returns its exit code."""
    stop, codes = threading.Event(), list[ExitCode]()
    forwarding = Forwarding(Forwarder(folder, "forward-x"), sink, DaemonStatus(None), notifier)
    thread = threading.Thread(target=lambda: codes.append(forwarding.run(stop, drain_timeout_s)))
    thread.start()

    def end() -> ExitCode:
        stop.set()
        thread.join(WAIT_S)
        return codes[0]

    try:
        yield end
    finally:
        stop.set()
        thread.join(WAIT_S)


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def append(journal: Journal, count: int) -> None:
    first = journal.last_seq + 1
    journal.append(Transaction([record(seq) for seq in range(first, first + count)]))


def test_a_stop_drains_and_stores_the_position(folder: Path, tmp_path: Path) -> None:
    """systemd hears of start, progress and stop; a sink that is away at first is no error."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        sink, notifier = OneSink(), Notifier(str(tmp_path / "notify"))
        sink.faults = 2
        with closing(Journal(folder)) as journal, running(folder, sink, notifier) as end:
            append(journal, 25)
            wait(lambda: len(sink.sent) == 25)
            assert end() == ExitCode.OK
        notifier.close()
        heard = [manager.recv(4096).decode() for _ in range(4)]
    assert heard[0] == "READY=1"
    assert "WATCHDOG=1" in heard
    assert any(text.startswith("STATUS=not connected: event 0 of") for text in heard)
    assert sink.left
    assert sink.statuses[-1]["state"] == "offline"
    assert sink.statuses[-1]["acknowledged_seq"] == 25
    with closing(Positions(folder)) as positions:
        position = positions.get("forward-x")
    assert position is not None
    assert position.seq == 25


def test_a_stop_does_not_wait_for_ever(folder: Path) -> None:
    """Events without an answer are an exit code of their own, and come again."""
    sink = OneSink(acknowledges=False)
    with closing(Journal(folder)) as journal:
        append(journal, 25)
        with running(folder, sink, Notifier(None), drain_timeout_s=0.2) as end:
            wait(lambda: len(sink.sent) == 10)
            assert end() == ExitCode.DRAIN_TIMEOUT
        again = OneSink()
        with running(folder, again, Notifier(None)) as end:
            wait(lambda: len(again.sent) == 25)
            assert end() == ExitCode.OK


@pytest.mark.slow
def test_a_journal_that_is_away_is_a_state_with_its_reason(folder: Path) -> None:
    """The sink stays connected and is told; when the journal is there the state ends."""
    sink = OneSink()
    with running(folder, sink, Notifier(None)) as end:
        wait(lambda: len(sink.statuses) > 1)
        assert all(status["state"] == "failed" for status in sink.statuses)
        assert "a daemon makes it when it starts" in sink.statuses[-1]["reason"]
        with closing(Journal(folder)) as journal:
            append(journal, 3)
            wait(lambda: len(sink.sent) == 3)
            wait(lambda: sink.statuses[-1]["state"] == "online")
            assert end() == ExitCode.OK
