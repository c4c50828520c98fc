"""The camera process in this one, on a real protocol stack: what ends it, and what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

import pytest
import structlog
import zmq
from structlog.typing import EventDict
from tests.daemon.camera.fakes import GEOMETRY, fake_camera, source
from tests.line.cameras import need_aravis

from stripwatch.camera import process as process_module
from stripwatch.camera import silence
from stripwatch.camera.aravis.discovery import Aravis
from stripwatch.camera.essentials import configure
from stripwatch.camera.fake.registers import CONTROL
from stripwatch.camera.fake.server import FakeCamera
from stripwatch.camera.network_link import NetworkLink
from stripwatch.camera.parts import make_parts
from stripwatch.camera.process import CameraProcess
from stripwatch.config.cameras import CameraSource, LineSource
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Camera, Config, EngineSection, Input, Publish
from stripwatch.errors import CameraError
from stripwatch.feed.frame_sender import FrameSender
from stripwatch.feed.link import Link
from stripwatch.service.sdnotify import Notifier
from stripwatch.wire.frame import FrameHeader, parse_header

WAIT_S = 20.0


class Running:
    """The process in a thread."""

    def __init__(
        self, fake: FakeCamera, settings: CameraSource, frames: Link, link: NetworkLink
    ) -> None:
        self.fake = fake
        self.stop = threading.Event()
        self.error: CameraError | None = None
        self._settings, self._frames, self._link = settings, frames, link
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        camera = Camera(name="top", source=self._settings)
        config = Config(
            line=GEOMETRY,
            cameras=(camera,),
            inputs=(Input(endpoint="ipc://unused"),),
            engine=EngineSection(folder=""),
            publish=Publish(endpoint="ipc://unused"),
        )
        with (
            FrameSender(self._frames) as sender,
            closing(Aravis().open(self._settings)) as opened,
        ):
            configure(opened, self._settings, GEOMETRY)
            parts = make_parts(config, camera, self._settings, opened)
            notifier = Notifier(None)
            tested = CameraProcess(camera, GEOMETRY, opened, parts, sender, notifier, self._link)
            try:
                tested.run(self.stop)
            except CameraError as error:
                self.error = error

    def end(self) -> str:
        """What it said when it ended by itself."""
        self.thread.join(WAIT_S)
        assert self.error is not None, "it runs on"
        return str(self.error)


class Bench:
    """Starts fake cameras and processes, and receives their frames."""

    def __init__(self, stack: ExitStack, endpoint: str, logs: list[EventDict]) -> None:
        self._stack = stack
        self._endpoint = endpoint
        self.logs = logs
        self.link = NetworkLink("")

    def start(
        self, motion: str = "6400", pattern: Literal["push", "pub"] = "push", **changes: object
    ) -> Running:
        lost = {key: changes.pop(key) for key in ("lost_per_1000", "can_resend") if key in changes}
        fake = self._stack.enter_context(fake_camera(motion, **lost))
        settings = source(fake.options.address, light=LightSection(watch=False), **changes)
        frames = Link(endpoint=self._endpoint, pattern=pattern)
        running = Running(fake, settings, frames, self.link)

        def end() -> None:
            running.stop.set()
            running.thread.join()

        self._stack.callback(end)
        return running

    def frames(self, count: int) -> list[FrameHeader]:
        with zmq.Context() as context, context.socket(zmq.PULL) as receiver:
            receiver.bind(self._endpoint)
            found = []
            for _ in range(count):
                assert receiver.poll(int(WAIT_S * 1000)), self.logs
                topic, header, _ = receiver.recv_multipart()
                found.append(parse_header(topic, header))
        return found

    def wait_for(self, event: str, counted: str | None = None) -> EventDict:
        """Wait for an entry of the log, and that it counts something."""
        until_s = time.monotonic() + WAIT_S
        while time.monotonic() < until_s:
            for entry in self.logs:
                if entry["event"].startswith(event) and (counted is None or entry[counted] > 0):
                    return entry
            time.sleep(0.02)
        raise AssertionError(f"not logged: {event}; {self.logs}")


@pytest.fixture
def bench(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    need_aravis()
    monkeypatch.setattr(silence, "SILENCE_S_MIN", 0.5)
    monkeypatch.setattr(process_module, "REPORT_S", 0.1)
    with structlog.testing.capture_logs() as logs, ExitStack() as stack:
        yield Bench(stack, endpoint, logs)


def test_frames_that_nobody_takes_leave_their_numbers_out(bench: Bench) -> None:
    bench.start("1600")  # slow, so that a busy machine loses no packets
    bench.wait_for("frames lost", counted="not_taken")
    headers = bench.frames(20)
    assert headers[0].seq > 0
    assert [header.seq - headers[0].seq for header in headers] == list(range(20))
    assert abs(headers[-1].t_ns - time.time_ns()) < 5e9


def test_without_a_subscriber_a_publisher_does_not_say_that_it_sends(bench: Bench) -> None:
    running = bench.start(pattern="pub")
    bench.wait_for("frames lost", counted="not_taken")
    assert running.thread.is_alive()


def test_frames_of_which_none_is_whole_end_the_process(bench: Bench) -> None:
    running = bench.start(lost_per_1000=600.0, can_resend=False, frame_timeout_ms=200.0)
    assert "none was whole" in running.end()


def test_a_camera_whose_stream_alone_has_died_is_found_by_the_encoder(bench: Bench) -> None:
    running = bench.start(line=LineSource(feature="EncoderValue"), frame_timeout_ms=100.0)
    bench.frames(5)
    running.fake.control.is_streaming = False
    assert "although the camera answers and the encoder turns" in running.end()


def test_an_encoder_that_stands_keeps_the_process_waiting(bench: Bench) -> None:
    running = bench.start(
        "6400x1,0x1000", line=LineSource(feature="EncoderValue"), frame_timeout_ms=100.0
    )
    bench.wait_for("no line is triggered")
    running.thread.join(2.0)  # four times as long as it takes to ask again
    assert running.thread.is_alive()


def test_a_camera_at_its_own_rate_that_is_silent_ends_the_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENCE_S_MIN", 10.0)  # a slow start is no silence
    running = bench.start(trigger="free", features={"AcquisitionLineRate": 6400.0})
    bench.frames(5)
    monkeypatch.setattr(silence, "SILENCE_S_MIN", 0.5)
    running.fake.control.is_streaming = False
    assert "its lines run free" in running.end()


def test_a_camera_that_was_started_anew_ends_the_process(bench: Bench) -> None:
    """It answers, and nobody controls it."""
    running = bench.start(frame_timeout_ms=100.0)
    bench.frames(5)
    running.fake.control.is_streaming = False
    running.fake.registers.set_word(CONTROL, 0)
    assert "control of the camera is lost" in running.end()


def test_a_link_that_becomes_slow_is_an_error_in_the_log(bench: Bench, tmp_path: Path) -> None:
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    (tmp_path / "routes").write_text(head + "cam0 00000000 0 1 0 0 0 00000000 0 0 0\n")
    (tmp_path / "cam0").mkdir()
    speed = tmp_path / "cam0" / "speed"
    speed.write_text("1000\n")
    bench.link = NetworkLink("10.0.0.1", tmp_path / "routes", tmp_path)
    bench.start()
    assert bench.wait_for("network link")["mbit_s"] == 1000
    speed.write_text("100\n")
    entry = bench.wait_for("network link of the camera is too slow")
    assert (entry["log_level"], entry["mbit_s"], entry["interface"]) == ("error", 100, "cam0")
