"""A daemon with CURVE on tcp, its keys, and clients of every kind."""

from __future__ import annotations

import datetime
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import zmq

from stripwatch import Subscriber
from stripwatch.config.sections import (
    Attach,
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    Publish,
    RequestsSection,
)
from stripwatch.config.security import Security
from stripwatch.engines.fake import fake_factory
from stripwatch.inspect.model import Model
from stripwatch.net.allow_list import (
    AllowList,
    Right,
    new_grant,
    read_allow_list,
    write_allow_list,
)
from stripwatch.net.curve import ClientCurve, client_curve, secure
from stripwatch.net.keys import make_key, read_public_key
from stripwatch.pipeline import Pipeline
from stripwatch.testing import CLASSES, FakeCamera
from stripwatch.wire.causes import Cause

SHAPE = (8, 32)
WAIT_S = 60.0
DAY = datetime.date(2026, 11, 28)


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Secured:
    """A running daemon; cameras `top` and `bottom`, keys `top`, `gate`, `desk`."""

    def __init__(self, folder: Path, attach: Attach = "bind") -> None:
        self.keys = folder / "keys"
        self.allow_list = self.keys / "allowed.toml"
        make_key(self.keys / "daemon.key", "daemon")
        write_allow_list(self.allow_list, AllowList())
        self.make("top")
        self.grant("top", "top")
        self.make("gate")
        self.grant("gate", rights=("events", "requests"))
        ports = free_ports(3)
        self.frames, self.events, self.requests = (f"tcp://127.0.0.1:{port}" for port in ports)
        self.ports = ports
        self.config = Config(
            line=Geometry(frame_lines=8, frame_pixels=32, mm_per_line=1, mm_per_pixel=1),
            cameras=(Camera(name="top"), Camera(name="bottom")),
            inputs=(
                Input(
                    endpoint=self.frames,
                    pattern="pull" if attach == "bind" else "sub",
                    attach=attach,
                    queue_frames=100,
                ),
            ),
            engine=EngineSection(folder=""),
            publish=Publish(endpoint=self.events, frame_results=True),
            requests=RequestsSection(endpoint=self.requests),
            batch=Batch(rows=4, wait_ms=2),
            journal=JournalSection(folder=str(folder / "journal")),
            security=Security(
                key_file=str(self.keys / "daemon.key"), allow_list=str(self.allow_list)
            ),
        )
        self.context = zmq.Context()
        self._pipeline: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The daemon; made when it is first needed."""
        if self._pipeline is None:
            self._pipeline = Pipeline(self.config, Model("f" * 64, CLASSES), fake_factory())
        return self._pipeline

    def stop(self) -> None:
        """Stop the daemon."""
        if self._pipeline is not None:
            self._pipeline.stop()
            assert self._pipeline.join(WAIT_S)
            self._pipeline = None

    def make(self, name: str, daemon: str = "daemon") -> Path:
        """Make a client's key for a daemon."""
        path = self.keys / f"{name}.key"
        make_key(path, name, read_public_key(self.keys / f"{daemon}.pub").public_key)
        return path

    def grant(self, name: str, *cameras: str, rights: tuple[Right, ...] = ()) -> None:
        """Give a key rights in place of those it had."""
        key = read_public_key(self.keys / f"{name}.pub")
        grant = new_grant(key, cameras, rights, DAY)
        write_allow_list(self.allow_list, read_allow_list(self.allow_list).with_grant(grant))

    def revoke(self, name: str) -> None:
        """Take all rights from a key."""
        write_allow_list(self.allow_list, read_allow_list(self.allow_list).without(name, DAY))

    def curve(self, name: str) -> ClientCurve:
        """A client's end."""
        return client_curve(self.keys / f"{name}.key")

    def subscriber(self, name: str, *topics: str, **options: str) -> Subscriber:
        """A subscriber with the key of this name."""
        return Subscriber(self.events, topics or ("",), curve=self.keys / f"{name}.key", **options)  # type: ignore[arg-type]

    @contextmanager
    def camera(self, name: str | None) -> Iterator[FakeCamera]:
        """A camera with the key of this name, or without one."""
        with closing(self.context.socket(zmq.PUSH)) as sender:
            sender.linger = 0
            if name is not None:
                secure(sender, self.curve(name), self.frames)
            sender.connect(self.frames)
            yield FakeCamera(sender, SHAPE)

    @property
    def inspected(self) -> int:
        """Frames inspected since the start."""
        return self.pipeline.outbox.ledger.inspected

    def count(self, *causes: Cause) -> int:
        """Refusals of these causes since the start, of connections and of frames."""
        door = self.pipeline.door
        assert door is not None
        total = door.rejected + self.pipeline.receiver.arrivals.rejected
        return sum(total[cause] for cause in causes)

    def send_until_inspected(self, camera: FakeCamera, session: str, frames: int = 20) -> None:
        """The good camera: all of its frames are inspected."""
        before = self.inspected
        for seq in range(frames):
            camera.send("top", session, seq)
        wait(lambda: self.inspected == before + frames)


def wait(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, "the condition did not hold in time"
        time.sleep(0.01)


def secured_line(folder: Path) -> AbstractContextManager[Secured]:
    """A running daemon."""
    return running(Secured(folder))


@contextmanager
def running(line: Secured) -> Iterator[Secured]:
    """Run the daemon."""
    try:
        line.pipeline.start()
        yield line
    finally:
        line.context.destroy(linger=0)
        line.stop()
