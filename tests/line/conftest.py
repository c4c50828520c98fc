"""A running daemon and its camera, for the tests of whole processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.testing import FakeCamera

DAEMON_SHAPE = (32, 64)
CONFIG = """
[line]
frame_lines = 32
frame_pixels = 64
mm_per_line = 1.0
mm_per_pixel = 1.0
[[cameras]]
name = "top"
[[inputs]]
endpoint = "ipc://{folder}/in"
pattern = "{pattern}"
queue_frames = 500
[engine]
folder = "engine"
rebuilds_max = 2
rebuild_delay_s_max = 0.1
[publish]
endpoint = "ipc://{folder}/out"
queue_events = 20
[requests]
endpoint = "ipc://{folder}/requests"
[service]
drain_timeout_s = 3.0
log_format = "json"
"""


class Daemon:
    """A running `stripwatch run` and the socket on which it notifies."""

    def __init__(self, folder: Path, pattern: str = "pull") -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG.format(folder=folder, pattern=pattern))
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(0.1)
        self.messages: list[str] = []
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.program: tuple[str, ...] = (sys.executable, "-m", "stripwatch")

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", str(self.config)],
                stderr=log,
                env=environment,
            )
        return self.process

    def read_messages(self) -> None:
        """Take in notifications for a moment."""
        try:
            while True:
                self.messages.append(self._notify.recv(4096).decode())
        except TimeoutError:
            return

    def wait_for(self, message: str, timeout_s: float = 30) -> None:
        """Wait for a notification that begins so."""
        until_s = time.monotonic() + timeout_s
        while not any(entry.startswith(message) for entry in self.messages):
            assert time.monotonic() < until_s, (message, self.messages, self.log.read_text())
            self.read_messages()

    def wait(self, condition: Callable[[], bool], timeout_s: float = 30) -> None:
        """Wait until a condition holds."""
        until_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until_s, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        self.process.terminate()
        return self.process.wait(20)

    def make_engine(
        self, behaviour: FakeBehaviour, name: str = "engine", **changes: object
    ) -> None:
        """Write an engine folder of the fake engine; `changes` are to its manifest."""
        engine = self.folder / name
        engine.mkdir(exist_ok=True)
        classes = tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4))
        manifest = Manifest(
            target="fake",
            engine_hash="0" * 64,
            builder="test",
            precision="fp32",
            frame_shape=DAEMON_SHAPE,
            classes=classes,
            fake=behaviour,
        )
        save_manifest(engine, msgspec.structs.replace(manifest, **changes))

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on the fake engine, not yet started."""
    daemon = Daemon(tmp_path)
    daemon.make_engine(FakeBehaviour())
    yield daemon
    daemon.close()


@pytest.fixture
def camera(daemon: Daemon) -> Iterator[FakeCamera]:
    """A camera that pushes frames to the daemon."""
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.set_hwm(10_000)
    push.connect(f"ipc://{daemon.folder}/in")
    yield FakeCamera(push, DAEMON_SHAPE)
    context.destroy(linger=0)
