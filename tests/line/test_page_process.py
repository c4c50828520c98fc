"""`stripwatch page` as a process beside a daemon: notifications, streams, silence, TLS."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stripwatch.engines.fake import PAINT
from stripwatch.testing import WAIT_S, FakeCamera

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

EVENTS = 500
PICTURE = np.zeros((32, 64), np.uint8)
PICTURE[8:12, 20:30] = PAINT + 1


class PageProcess:
    """A running `stripwatch page` and the socket on which it notifies."""

    def __init__(self, daemon: Daemon, section: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.folder = daemon.folder
        self.config = daemon.folder / "page.toml"
        page = f'[page]\nendpoint = "127.0.0.1:{self.port}"\nlocal_role = "review"\n{section}'
        self.config.write_text(daemon.config.read_text() + page)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.folder / "page-notify"))
        self._notify.settimeout(0.1)
        self.messages: list[str] = []
        self.log = daemon.folder / "page-log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"NOTIFY_SOCKET": str(self.folder / "page-notify")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stripwatch", "page", "--config", str(self.config)],
                stderr=log,
                env=environment,
            )
        self.wait_for("READY=1")

    def wait_for(self, message: str) -> None:
        until_s = time.monotonic() + 30
        while not any(entry.startswith(message) for entry in self.messages):
            assert time.monotonic() < until_s, (message, self.messages, self.log.read_text())
            self._read_messages()

    def _read_messages(self) -> None:
        try:
            while True:
                self.messages.append(self._notify.recv(4096).decode())
        except TimeoutError:
            return

    def get(self, path: str) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request("GET", path)
            return json.loads(client.getresponse().read())

    def stop(self) -> int:
        """SIGTERM; the exit code, after the service manager was told."""
        assert self.process
        self._read_messages()  # its queue is short
        self.process.send_signal(signal.SIGTERM)
        self.wait_for("STOPPING=1")
        return self.process.wait(20)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()


@pytest.fixture
def page(daemon: Daemon) -> Iterator[PageProcess]:
    """The page of a daemon, not yet started."""
    made = PageProcess(daemon)
    yield made
    made.close()


class Browser:
    """Reads the event stream as an EventSource does."""

    def __init__(self, page: PageProcess, last_event_id: str = "") -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._client.request("GET", "/api/events", headers=headers)
        self._answer = self._client.getresponse()
        assert self._answer.getheader("content-type", "").startswith("text/event-stream")
        self.last_event_id = last_event_id
        self.seqs: list[int] = []
        self.statuses: list[Any] = []

    def read_until(self, seq: int) -> list[int]:
        """Read messages until the stream has brought a number; all numbers so far."""
        kind = ""
        until_s = time.monotonic() + WAIT_S
        while seq not in self.seqs:
            assert time.monotonic() < until_s
            line = self._answer.readline().decode().rstrip("\n")
            name, _, text = line.partition(": ")
            if name == "id":
                self.last_event_id = text
            elif name == "event":
                kind = text
            elif name == "data":
                self._take(kind, json.loads(text))
        return self.seqs

    def _take(self, kind: str, data: Any) -> None:
        if kind == "status":
            self.statuses.append(data)
        elif kind == "defects":
            self.seqs += [row[0] for row in data["rows"]]
        else:
            self.seqs.append(data["seq"])

    def close(self) -> None:
        self._client.close()


def test_a_browser_that_was_away_misses_nothing_though_the_daemon_was_killed(
    daemon: Daemon, camera: FakeCamera, page: PageProcess
) -> None:
    """Its stream goes on over kill -9 and a restart; and it comes back behind its last event."""
    daemon.start()
    daemon.wait_for("READY=1")
    page.start()
    stream = page.get("/api/state")["stream"]
    with closing(Browser(page, f"{stream}:0")) as browser:
        for seq in range(3):
            camera.send("top", "s", seq, PICTURE)
        assert browser.read_until(4) == [1, 2, 3, 4]
        assert daemon.process
        daemon.process.kill()
        daemon.process.wait()
        daemon.messages.clear()
        daemon.start()
        daemon.wait_for("READY=1")
        camera.send("top", "s", 3, PICTURE)
        assert browser.read_until(7) == [1, 2, 3, 4, 5, 6, 7]  # unclean stop, start, defect
        place = browser.last_event_id
    camera.send("top", "s", 4, PICTURE)
    with closing(Browser(page, place)) as back:
        assert back.read_until(8) == [8]
    assert page.stop() == 0
    assert daemon.stop() == 0


def test_a_browser_that_never_reads_holds_up_nobody(
    daemon: Daemon, camera: FakeCamera, page: PageProcess
) -> None:
    """Neither the others nor the end of the page; its memory stays small."""
    daemon.start()
    daemon.wait_for("READY=1")
    page.start()
    stream = page.get("/api/state")["stream"]
    with socket.create_connection(("127.0.0.1", page.port)) as silent:
        silent.sendall(
            f"GET /api/events?after={stream}:0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        with closing(Browser(page, f"{stream}:0")) as browser:
            for seq in range(EVENTS):
                camera.send("top", "s", seq, PICTURE)
            assert browser.read_until(EVENTS + 1) == list(range(1, EVENTS + 2))
            assert page.get("/api/state")["lookers"] == 2
            assert page.process
            before = resident_kb(page.process.pid)
            for seq in range(EVENTS, 2 * EVENTS):
                camera.send("top", "s", seq, PICTURE)
            browser.read_until(2 * EVENTS + 1)
            assert resident_kb(page.process.pid) - before < 30_000
        assert page.stop() == 0
    assert daemon.stop() == 0


def resident_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_the_page_is_there_before_and_after_the_daemon(daemon: Daemon, page: PageProcess) -> None:
    """It says that the daemon does not answer, and ends in order."""
    page.start()
    until_s = time.monotonic() + WAIT_S
    while not (blind := page.get("/api/state")["blind"]):
        assert time.monotonic() < until_s
        time.sleep(0.1)
    assert blind[0]["what"] == "daemon"
    daemon.start()
    until_s = time.monotonic() + 3 * WAIT_S
    while page.get("/api/state")["status"] is None:
        assert time.monotonic() < until_s
        time.sleep(0.1)
    assert not [one for one in page.get("/api/state")["blind"] if one["what"] == "daemon"]
    assert daemon.stop() == 0
    assert page.stop() == 0


def test_a_certificate_makes_it_https(daemon: Daemon) -> None:
    """Nothing is answered without it."""
    cert, key = daemon.folder / "page.pem", daemon.folder / "page.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    page = PageProcess(daemon, 'cert_file = "page.pem"\nkey_file = "page.key"\n')
    try:
        page.start()
        context = ssl.create_default_context(cafile=str(cert))
        connection = http.client.HTTPSConnection("localhost", page.port, context=context)
        with closing(connection) as client:
            client.request("GET", "/api/me")
            answer = client.getresponse()
            assert json.loads(answer.read())["role"] == "review"
            assert answer.getheader("strict-transport-security")
        with pytest.raises((http.client.HTTPException, OSError)):
            page.get("/api/me")
        assert page.stop() == 0
    finally:
        page.close()
