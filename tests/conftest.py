"""Fixtures that several tests share: lines of the real pipeline on the fake engine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import settings
from numpy.typing import NDArray

from stripwatch.config import Batch, Camera, Config, EngineSection, Input, Line, Publish
from stripwatch.engines.base import EngineFactory
from stripwatch.engines.fake import FakeEngine
from stripwatch.manifest import DefectClass, FakeBehaviour
from stripwatch.pipeline import Pipeline
from stripwatch.wire.event import Event, parse_event
from stripwatch.wire.frame import FrameHeader, build_frame

settings.register_profile("stripwatch", deadline=None, print_blob=True)
settings.load_profile("stripwatch")

SHAPE = (8, 32)
CLASSES = tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4))


class Sender:
    """A camera that sends what it is told, right or wrong."""

    def __init__(self, socket: zmq.Socket[bytes], shape: tuple[int, int]) -> None:
        self.socket = socket
        self.shape = shape

    def send(
        self,
        camera: str,
        session: str,
        seq: int,
        pixels: NDArray[np.uint8] | None = None,
        **changes: object,
    ) -> None:
        """Send one frame; `changes` replace keys of its header."""
        if pixels is None:
            pixels = np.zeros(self.shape, np.uint8)
        header = FrameHeader(
            v=1,
            camera=camera,
            session=session,
            seq=seq,
            t_ns=time.time_ns(),
            shape=pixels.shape,
            dtype="u8",
            codec="raw",
        )
        parts = build_frame(header, pixels.tobytes())
        if changes:
            parts[1] = msgspec.json.encode(msgspec.to_builtins(header) | changes)
        self.socket.send_multipart(parts)


class Line8:
    """A running pipeline on a small line, its cameras' socket, and everything it publishes."""

    def __init__(self, pipeline: Pipeline, sender: Sender, events: zmq.Socket[bytes]) -> None:
        self.pipeline = pipeline
        self.sender = sender
        self._socket = events
        self.events: list[Event] = []
        self.images: list[list[bytes]] = []

    def read(self) -> None:
        """Take in what was published."""
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
            if parts[0].startswith(b"image."):
                self.images.append(parts)
            else:
                self.events.append(parse_event(*parts))

    def wait(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Read events until a condition holds."""
        until_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until_s, "the line did not get there in time"
            self._socket.poll(20)
            self.read()

    def wait_for_frame(self, camera: str, session: str, seq: int) -> None:
        """Wait until the daemon has accounted for a frame."""

        def accounted() -> bool:
            status = self.pipeline.deliverer.ledger.statuses().get(camera)
            return bool(status and status.session == session and status.last_frame_seq >= seq)

        self.wait(accounted)


LineMaker = Callable[..., "contextmanager[Line8]"]


@pytest.fixture
def run_line(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Iterator[Line8]]:
    """A context manager that runs the real pipeline on the fake engine."""
    numbers = itertools.count()
    folder = tmp_path_factory.mktemp("line")

    @contextmanager
    def run(
        behaviour: FakeBehaviour = FakeBehaviour(),
        *,
        pattern: str = "pull",
        cameras: tuple[str, ...] = ("top", "bottom"),
        rows: int = 3,
        wait_ms: float = 5,
        queue_frames: int = 1000,
        shape: tuple[int, int] = SHAPE,
        classes: tuple[DefectClass, ...] = CLASSES,
        engine: EngineSection | None = None,
        factory: EngineFactory | None = None,
        mm: tuple[float, float] = (1.0, 1.0),
        camera_settings: tuple[Camera, ...] = (),
    ) -> Iterator[Line8]:
        number = next(numbers)
        config = Config(
            line=Line(
                frame_lines=shape[0], frame_pixels=shape[1], mm_per_line=mm[0], mm_per_pixel=mm[1]
            ),
            cameras=camera_settings or tuple(Camera(name=name) for name in cameras),
            inputs=(
                Input(
                    endpoint=f"ipc://{folder}/frames{number}",
                    pattern=pattern,  # type: ignore[arg-type]
                    queue_frames=queue_frames,
                ),
            ),
            engine=engine or EngineSection(folder="", rebuild_delay_s_max=0.2),
            publish=Publish(
                endpoint=f"ipc://{folder}/events{number}", frame_results=True, queue_events=100_000
            ),
            batch=Batch(rows=rows, wait_ms=wait_ms),
        )
        make = factory or (lambda slots: FakeEngine(slots, behaviour))
        pipeline = Pipeline(config, classes, "f" * 64, make)
        context = zmq.Context()
        events = context.socket(zmq.SUB)
        events.set_hwm(0)
        events.subscribe(b"")
        events.connect(config.publish.endpoint)
        socket = context.socket(zmq.PUSH if pattern == "pull" else zmq.XPUB)
        socket.set_hwm(10_000)
        socket.connect(config.inputs[0].endpoint)
        line = Line8(pipeline, Sender(socket, shape), events)
        pipeline.start()
        assert pipeline.failure is None, pipeline.failure
        if pattern == "sub":
            socket.recv()  # the daemon has subscribed
        line.wait(lambda: pipeline.telemetry.latest is not None)
        line.wait(lambda: bool(line.events))  # the event socket is connected
        try:
            yield line
        finally:
            pipeline.stop()
            assert pipeline.join(20)
            line.read()
            socket.close(0)
            events.close(0)
            context.term()

    return run


@pytest.fixture
def shared_data() -> Path:
    """The folder of real frames beside the project, where there is one."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real frames here")
    return folder
