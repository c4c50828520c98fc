"""A whole line in one process: a camera, the real pipeline on the fake engine, and a subscriber.

For tests of stripwatch and of software that uses its events.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from stripwatch.config.sections import (
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
from stripwatch.engines.base import EngineFactory
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Gate
from stripwatch.inspect.model import Model
from stripwatch.journal.positions import Positions
from stripwatch.net.sockets import Socket
from stripwatch.pipeline import Pipeline
from stripwatch.wire.event import DaemonEvent, Event, parse_event
from stripwatch.wire.frame import FrameHeader, build_frame

CLASSES = tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4))
WAIT_S = 20.0
QUEUE = 10_000
_PROMPT = FakeBehaviour()


class FakeCamera:
    """Sends frames, valid or not."""

    def __init__(self, socket: Socket, frame_shape: tuple[int, int]) -> None:
        self.socket = socket
        self._blank = np.zeros(frame_shape, np.uint8)

    def send(
        self,
        camera: str,
        session: str,
        seq: int,
        pixels: NDArray[np.uint8] | None = None,
        **changes: object,
    ) -> None:
        """Send one frame, uint8 [lines, pixels]; `changes` replace keys of its header."""
        if pixels is None:
            pixels = self._blank
        header = FrameHeader(
            v=1,
            camera=camera,
            session=session,
            seq=seq,
            t_ns=time.time_ns(),
            shape=(pixels.shape[0], pixels.shape[1]),
            dtype="u8",
            codec="raw",
        )
        topic, text, payload = build_frame(header, pixels.tobytes())
        if changes:
            text = msgspec.json.encode(msgspec.to_builtins(header) | changes)
        self.socket.send_multipart([topic, text, payload])


class FakeLine:
    """A running pipeline, its camera, and everything that it has published."""

    def __init__(
        self, pipeline: Pipeline, camera: FakeCamera, events: Socket, config: Config
    ) -> None:
        self.pipeline = pipeline
        self.camera = camera
        self.config = config
        self.events_endpoint = config.publish.endpoint  # for subscribers of one's own
        self._folder = Path(config.journal.folder or "")
        self.requests_endpoint = config.requests.endpoint if config.requests else ""
        self._socket = events
        self.events: list[Event] = []
        self.daemon_events: list[Event] = []  # the start is published before all subscriptions
        self.images: list[list[bytes]] = []

    def read(self) -> None:
        """Receive the events published so far."""
        while self._socket.poll(0):
            topic, *parts = self._socket.recv_multipart()
            if topic.startswith(b"image."):
                self.images.append([topic, *parts])
            else:
                event = parse_event(topic, parts[0])
                of_daemon = isinstance(event, DaemonEvent)
                (self.daemon_events if of_daemon else self.events).append(event)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Read events until a condition holds.

        Raises:
            TimeoutError: it did not hold within `WAIT_S`.
        """
        until_s = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > until_s:
                raise TimeoutError("the condition did not hold in time")
            self._socket.poll(20)
            self.read()

    def has_readers(self) -> bool:
        """Whether a reader of the journal has a place, from which on no event escapes it."""
        with closing(Positions(self._folder)) as positions:
            return bool(positions.all())

    def accounted(self, camera: str, session: str, seq: int) -> bool:
        """Whether a frame is booked: inspected or missed."""
        last_seq = self.pipeline.outbox.ledger.last_seq(camera, session)
        return last_seq is not None and last_seq >= seq

    def wait_for_frame(self, camera: str, session: str, seq: int) -> None:
        """Wait until a frame is booked: inspected or missed."""
        self.wait(lambda: self.accounted(camera, session, seq))


@contextmanager
def fake_line(
    behaviour: FakeBehaviour = _PROMPT,
    *,
    pattern: Literal["sub", "pull"] = "pull",
    cameras: tuple[Camera, ...] = (
        Camera(name="top"),
        Camera(name="bottom", side="bottom"),
    ),
    batch: Batch = Batch(rows=3, wait_ms=5),  # noqa: B008 - frozen
    queue_frames: int = 1000,
    frame_shape: tuple[int, int] = (8, 32),
    mm: tuple[float, float] = (1.0, 1.0),
    rebuilds_max: int = 10,
    rebuild_delay_s_max: float = 0.2,
    factory: EngineFactory | None = None,
    classes: tuple[DefectClass, ...] = CLASSES,
    gate: Gate | None = None,
) -> Iterator[FakeLine]:
    """Run a line; `mm` is the size of a pixel downweb and crossweb.

    `factory` makes the engine, in place of a fake one with `behaviour`.
    """
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as folder:
        config = Config(
            line=Geometry(
                frame_lines=frame_shape[0],
                frame_pixels=frame_shape[1],
                mm_per_line=mm[0],
                mm_per_pixel=mm[1],
            ),
            cameras=cameras,
            inputs=(
                Input(endpoint=f"ipc://{folder}/in", pattern=pattern, queue_frames=queue_frames),
            ),
            engine=EngineSection(
                folder="", rebuilds_max=rebuilds_max, rebuild_delay_s_max=rebuild_delay_s_max
            ),
            publish=Publish(
                endpoint=f"ipc://{folder}/out", frame_results=True, queue_events=100_000
            ),
            batch=batch,
            journal=JournalSection(folder=f"{folder}/journal"),
            requests=RequestsSection(endpoint=f"ipc://{folder}/requests"),
        )
        pipeline = Pipeline(
            config, Model("f" * 64, classes, gate), factory or fake_factory(behaviour)
        )
        context = zmq.Context()
        events = context.socket(zmq.SUB)
        camera = context.socket(zmq.PUSH if pattern == "pull" else zmq.XPUB)
        try:
            events.set_hwm(0)
            events.setsockopt(zmq.SUBSCRIBE, b"")
            events.connect(config.publish.endpoint)
            camera.set_hwm(QUEUE)
            camera.connect(config.inputs[0].endpoint)
            line = FakeLine(pipeline, FakeCamera(camera, frame_shape), events, config)
            pipeline.start()
            if pattern == "sub":
                camera.recv()  # the daemon has subscribed
            line.wait(lambda: pipeline.publisher.subscriptions > 0)
            with _ended(pipeline):
                yield line
            line.read()
        finally:
            pipeline.stop()
            context.destroy(linger=0)


@contextmanager
def _ended(pipeline: Pipeline) -> Iterator[None]:
    """Stop a pipeline after a block, also after one that fails: no thread or file outlives it.

    Raises:
        TimeoutError: it did not stop in time.
    """
    try:
        yield
    except BaseException:
        pipeline.stop()
        pipeline.join(WAIT_S)
        raise
    pipeline.stop()
    if not pipeline.join(WAIT_S):
        raise TimeoutError("the line did not stop in time")
