"""What several tests of the command line and the client need."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from stripwatch.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.rle import encode_coco, encode_severstal, runs_of_mask
from stripwatch.testing import FakeCamera
from stripwatch.wire.event import Defect, Position


@pytest.fixture
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh endpoint with a short name (a socket's path may have about 100 characters)."""
    return f"ipc://{tmp_path_factory.mktemp('s')}/x"


@pytest.fixture
def make_defect() -> Callable[..., Defect]:
    """Makes a defect of 10 x 4 pixels at (20, 8) in a frame of 32 x 64, with changes."""
    mask = np.zeros((32, 64), np.uint8)
    mask[8:12, 20:30] = 1
    runs = runs_of_mask(mask)
    plain = Defect(
        stream="stream",
        seq=1,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=0,
        t_ns=1_700_000_000_123_000_000,
        class_id=2,
        class_name="cracks",
        score=0.9,
        peak=1.0,
        area_px=40,
        bbox_px=(20, 8, 10, 4),
        centroid_px=(24.5, 9.5),
        position=Position(downweb_mm=1234.5, crossweb_mm=88.8),
        size_mm=(6.0, 2.0),
        area_mm2=12.0,
        frame_shape=(32, 64),
        rle=encode_severstal(runs),
        rle_coco=encode_coco(runs),
        part_of="top-s-0-0",
        model="m1",
    )
    return lambda **changes: msgspec.structs.replace(plain, **changes)


@pytest.fixture
def severstal() -> Path:
    """The folder of Severstal samples beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "../shared/data/severstal"
    if not folder.is_dir():
        pytest.skip("the Severstal samples are not here")
    return folder


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

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stripwatch", "run", str(self.config)],
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
