"""Fake cameras, `stripwatch camera` and a daemon as processes, for tests of whole lines."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray
from tests.programs import need_library

from stripwatch.camera.aravis.library import NAME
from stripwatch.camera.fake.wire import GVCP_PORT
from stripwatch.config.cameras import CameraSource
from stripwatch.config.load import load_config
from stripwatch.config.sections import (
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    Publish,
    Service,
)
from stripwatch.config.toml import config_toml
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import ExitCode
from stripwatch.wire.frame import FrameHeader, parse_header

SHAPE = (64, 256)
WAIT_S = 30.0


def need_aravis() -> None:
    """The library is installed where that is allowed; else the test is skipped."""
    need_library(NAME, "libaravis-0.8-0")


def own_address() -> str:
    """A loopback address that no other fake camera of this computer has, very likely."""
    chance = random.SystemRandom()
    return f"127.{chance.randint(1, 254)}.{chance.randint(0, 255)}.{chance.randint(2, 254)}"


def is_taken(address: str) -> bool:
    """Whether a camera, or a fake one, listens at an address of this computer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, GVCP_PORT))
        except OSError:
            return True
    return False


def wait(condition: Callable[[], bool], what: Callable[[], str] = str) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, what()
        time.sleep(0.02)


class CameraLine:
    """One camera, its process and a daemon, in a folder."""

    def __init__(self, folder: Path, **source: object) -> None:
        self.folder = folder
        self.address = own_address()
        settings = {"kind": "aravis", "id": self.address, "packet_bytes": 1400} | source
        config = Config(
            line=Geometry(
                frame_lines=SHAPE[0], frame_pixels=SHAPE[1], mm_per_line=1.0, mm_per_pixel=1.0
            ),
            cameras=(Camera(name="top", source=CameraSource(**settings)),),  # type: ignore[arg-type]
            inputs=(Input(endpoint=f"ipc://{folder}/in", pattern="pull", queue_frames=500),),
            engine=EngineSection(folder="engine"),
            publish=Publish(endpoint=f"ipc://{folder}/out"),
            journal=JournalSection(folder="journal"),
            service=Service(log_format="json"),
        )
        self.path = folder / "config.toml"
        self.path.write_text(config_toml(config))
        self.config = load_config(self.path)
        (folder / "engine").mkdir()
        manifest = Manifest(
            target="fake",
            engine_hash="0" * 64,
            builder="cameras",
            precision="fp32",
            frame_shape=SHAPE,
            classes=tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4)),
            fake=FakeBehaviour(),
        )
        save_manifest(folder / "engine", manifest)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def set_source(self, source: CameraSource) -> None:
        """Change the camera behind the name."""
        cameras = (msgspec.structs.replace(self.config.cameras[0], source=source),)
        self.config = msgspec.structs.replace(self.config, cameras=cameras)
        self.path.write_text(config_toml(self.config))

    def start_again(self, name: str, start: Callable[[], None]) -> None:
        """As a service manager does: start what has ended with the code for it."""
        code = self.processes[name].poll()
        if code is not None:
            assert code in (ExitCode.CAMERA, -signal.SIGKILL), self.logs()
            start()

    def set_feature(self, name: str, value: float) -> None:
        """Change the camera's features in the configuration."""
        source = self.config.cameras[0].source
        assert source is not None
        source.features[name] = value
        self.path.write_text(config_toml(self.config))

    def start_fake(self, *options: str, motion: str = "6400") -> None:
        """A fake camera that runs at once; the images of the synthetic strip are small."""
        self.start(
            "fake",
            *("camera", "fake", str(self.strip_folder()), "--address", self.address),
            *("--motion", motion, "--heartbeat-ms", "2500", *options),
        )
        wait(lambda: b"Ctrl-C" in self.log("fake"), lambda: self.log("fake").decode())

    def strip_folder(self) -> Path:
        """A folder with an image whose rows can be told from each other."""
        import cv2

        folder = self.folder / "strip"
        if not folder.is_dir():
            folder.mkdir()
            cv2.imwrite(str(folder / "strip.png"), strip_image())
        return folder

    def start_camera(self) -> None:
        self.start("camera", "camera", "top", "--config", str(self.path))

    def start_daemon(self) -> None:
        self.start("daemon", "run", str(self.path))

    def start(self, name: str, *arguments: str) -> None:
        self.start_program(name, [sys.executable, "-m", "stripwatch", *arguments])

    def start_program(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def log(self, name: str) -> bytes:
        path = self.folder / f"{name}.log"
        return path.read_bytes() if path.exists() else b""

    def logs(self) -> str:
        return "\n".join(f"{name}:\n{self.log(name).decode()[-3000:]}" for name in self.processes)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.processes[name].send_signal(number)
        self.processes[name].wait(WAIT_S)

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def receiving(line: CameraLine) -> Iterator[Callable[[], tuple[FrameHeader, NDArray[np.uint8]]]]:
    """A function that waits for the next frame, in place of a daemon."""
    with zmq.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.set_hwm(2000)
        receiver.setsockopt(zmq.LINGER, 0)
        receiver.bind(line.config.inputs[0].endpoint)

        def next_frame() -> tuple[FrameHeader, NDArray[np.uint8]]:
            assert receiver.poll(int(WAIT_S * 1000)), line.logs()
            topic, header, payload = receiver.recv_multipart()
            parsed = parse_header(topic, header)
            return parsed, np.frombuffer(payload, np.uint8).reshape(parsed.shape)

        yield next_frame


def strip_image() -> NDArray[np.uint8]:
    """1024 lines: the first two pixels are the line's number, the others follow from it."""
    lines = np.arange(16 * SHAPE[0])
    image = (lines[:, None] * 7 + np.arange(SHAPE[1])[None, :] * 3).astype(np.uint8)
    image[:, 0], image[:, 1] = lines // 256, lines % 256
    return image


def is_of_one_piece(pixels: NDArray[np.uint8]) -> bool:
    """Whether the lines follow each other as in the strip, each with its own pixels."""
    strip = strip_image()
    first = int(pixels[0, 0]) * 256 + int(pixels[0, 1])
    rows = (first + np.arange(len(pixels))) % len(strip)
    return bool(np.array_equal(pixels, strip[rows]))
