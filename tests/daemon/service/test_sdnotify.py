"""systemd's notifications, on real datagram sockets."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from stripwatch.service.sdnotify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket and its address as $NOTIFY_SOCKET gives it."""
    path = str(tmp_path_factory.mktemp("s") / "n")
    abstract = request.param == "abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + path if abstract else path)
        receiver.settimeout(5)
        yield receiver, "@" + path if abstract else path


@pytest.mark.parametrize(
    ("call", "datagram"),
    [
        (Notifier.ready, b"READY=1"),
        (Notifier.watchdog, b"WATCHDOG=1"),
        (Notifier.stopping, b"STOPPING=1"),
        (lambda notifier: notifier.status("fine"), b"STATUS=fine"),
        (lambda notifier: notifier.status("a\nWATCHDOG=1"), b"STATUS=a WATCHDOG=1"),
        (lambda notifier: notifier.status("50 \u00b5m"), "STATUS=50 \u00b5m".encode()),
        (lambda notifier: notifier.status("\udcff"), b"STATUS=?"),
    ],
)
def test_each_call_is_one_datagram(
    manager: tuple[socket.socket, str], call: Callable[[Notifier], None], datagram: bytes
) -> None:
    """A status is one line, whatever it is given, and forges no other message."""
    receiver, address = manager
    with closing(Notifier(address)) as notifier:
        call(notifier)
        assert receiver.recv(4096) == datagram


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_every_call_does_nothing(address: str | None) -> None:
    with closing(Notifier(address)) as notifier, structlog.testing.capture_logs() as logs:
        notifier.ready()
        notifier.status("fine")
        notifier.watchdog()
        notifier.stopping()
    assert logs == []


@pytest.mark.parametrize("name", ["nobody-listens", "too-long" * 50])
def test_a_failed_send_is_reported_once_and_never_raised(tmp_path: Path, name: str) -> None:
    with closing(Notifier(str(tmp_path / name))) as notifier:
        with structlog.testing.capture_logs() as logs:
            notifier.ready()
            notifier.watchdog()
        assert [entry["event"] for entry in logs] == ["cannot notify the service manager"]


def test_ready_is_said_once(manager: tuple[socket.socket, str]) -> None:
    receiver, address = manager
    with closing(Notifier(address)) as notifier:
        notifier.ready()
        notifier.watchdog()
        assert [receiver.recv(4096), receiver.recv(4096)] == [b"READY=1", b"WATCHDOG=1"]


def test_a_full_queue_delays_ready_and_blocks_nothing(manager: tuple[socket.socket, str]) -> None:
    """READY=1 is waited for, so it goes with the next message that finds room."""
    receiver, address = manager
    with closing(Notifier(address)) as notifier:
        for _ in range(2000):  # more than any queue of this kind holds
            notifier.watchdog()
        notifier.ready()
        while select.select([receiver], [], [], 0)[0]:
            assert receiver.recv(4096) == b"WATCHDOG=1"
        notifier.status("running")
        assert receiver.recv(4096) == b"READY=1\nSTATUS=running"


def test_a_manager_that_comes_back_is_notified_again(tmp_path: Path) -> None:
    """systemd may be restarted; what is still owed goes with the first message that arrives."""
    path = tmp_path / "notify"
    with closing(Notifier(str(path))) as notifier:
        with structlog.testing.capture_logs() as logs:
            notifier.ready()
            notifier.watchdog()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
                receiver.bind(str(path))
                notifier.watchdog()
                assert receiver.recv(4096) == b"READY=1\nWATCHDOG=1"
            notifier.watchdog()
        assert [entry["log_level"] for entry in logs] == ["warning", "warning"]
