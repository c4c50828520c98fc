"""From the camera's process through a real daemon to events: GenTL and pylon, flat field, light."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.cli.main import main
from stripwatch.config.sections import Camera
from stripwatch.engines.fake import PAINT
from stripwatch.errors import ExitCode
from stripwatch.files import write_whole
from stripwatch.testing import FakeLine, fake_line
from stripwatch.wire.event import Defect, FrameResult, Gap, Light, Status, StripEnd, StripStart
from stripwatch.wire.state import State

SHAPE = (128, 400)
CONFIG = """
[line]
frame_lines = 128
frame_pixels = 400
mm_per_line = {mm_per_line}
mm_per_pixel = 2.0
[[cameras]]
name = "top"
crossweb_offset_mm = 100.0
[cameras.source]
trigger = "free"
{source}
[[inputs]]
endpoint = "{endpoint}"
pattern = "pull"
queue_frames = 1000
[engine]
folder = "engine"
[publish]
endpoint = "ipc:///unused"
[service]
log_format = "json"
"""
PYLON = """
kind = "pylon"
features = { ExposureTimeAbs = 100.0, AcquisitionFrameRateEnable = true, \
AcquisitionFrameRateAbs = 50.0, TestImageSelector = "Off", ImageFileMode = "On", \
ImageFilename = "FOLDER" }
"""


def write_config(line: FakeLine, path: Path, source: str, mm_per_line: float = 1.0) -> None:
    endpoint = line.events_endpoint.removesuffix("/out") + "/in"
    text = CONFIG.format(endpoint=endpoint, source=source, mm_per_line=mm_per_line)
    path.write_text(text)


@contextmanager
def camera_process(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`stripwatch camera top`, ended by SIGTERM as systemd does."""
    log = config.with_suffix(".log")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "stripwatch", "camera", "top", "--config", str(config)],
            stderr=stderr,
            env=os.environ | {"PYLON_CAMEMU": "1"},
        )
    try:
        yield process
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == ExitCode.OK, log.read_text()
    finally:
        process.kill()
        process.wait()


def results(line: FakeLine) -> list[FrameResult]:
    return [event for event in line.events if isinstance(event, FrameResult)]


def assert_covered(line: FakeLine) -> None:
    """Per session: inspected + missed = last - first + 1, and the events tell each."""
    status = [event for event in line.events if isinstance(event, Status)][-1]
    of_camera = status.cameras["top"]
    missed = sum(of_camera.missed.values())
    frames = of_camera.last_frame_seq - of_camera.first_frame_seq + 1
    assert of_camera.inspected + missed == frames
    told = sum(event.count for event in line.events if isinstance(event, Gap))
    assert told == missed


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """One emulated camera of pylon, for this process, too."""
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as an error a warning of SWIG's ends the process
        pytest.importorskip("pypylon.pylon", reason="the extra pylon is not installed")


@pytest.mark.slow
def test_frames_of_a_gentl_producer_become_events(tmp_path: Path) -> None:
    """With the coil id from a file, lines from a chunk, and the strip's end."""
    genicam = pytest.importorskip("genicam", reason="the extra genicam is not installed")
    pytest.importorskip("harvesters", reason="the extra genicam is not installed")
    producer = Path(str(genicam.__file__)).parent / "viky.cti"
    coil = tmp_path / "coil"
    coil.write_text("COIL-1")
    source = f"""
kind = "genicam"
producer = "{producer}"
id = "VikyTL_DEV_red"
features = {{ AcquisitionFrameRate = 50.0 }}
line = {{ chunk = "ChunkNrBounces", bits = 32 }}
strip = {{ kind = "file", address = "coil", poll_s = 0.05 }}
"""
    with fake_line(frame_shape=SHAPE) as line:
        config = tmp_path / "config.toml"
        write_config(line, config, source)
        with camera_process(config):
            line.wait(lambda: any(result.strip == "COIL-1" for result in results(line)))
            line.wait(lambda: len(results(line)) > 50)
            write_whole(coil, b'{"strip": "COIL-1", "end": true}')
            line.wait(lambda: any(isinstance(event, StripEnd) for event in line.events))
            write_whole(coil, b"COIL-2")
            line.wait(lambda: any(result.strip == "COIL-2" for result in results(line)))
        line.wait(lambda: any(isinstance(event, Status) for event in line.events))
    strips = [event.strip for event in line.events if isinstance(event, StripStart)]
    assert strips == ["COIL-1", "COIL-2"]
    (end,) = (event for event in line.events if isinstance(event, StripEnd))
    assert end.frames_inspected > 40
    assert_covered(line)


@pytest.mark.slow
@pytest.mark.usefixtures("emulator")
def test_images_of_pylons_emulator_become_defects_where_they_are(tmp_path: Path) -> None:
    """A painted defect in every third frame; its place is that of the camera's pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        image = np.full(SHAPE, 90, np.uint8)
        if number == 1:
            image[20:30, 50:70] = PAINT + 1
        cv2.imwrite(str(folder / f"{number}.png"), image)
    with fake_line(frame_shape=SHAPE, mm=(1.0, 2.0)) as line:
        config = tmp_path / "config.toml"
        write_config(line, config, PYLON.replace("FOLDER", str(folder)))
        with camera_process(config):
            line.wait(lambda: len(results(line)) > 60)
            line.wait(lambda: any(isinstance(event, Status) for event in line.events))
        line.read()
    defects = [event for event in line.events if isinstance(event, Defect)]
    assert len(defects) >= 15
    assert {defect.bbox_px for defect in defects} == {(50, 20, 20, 10)}
    seqs = [defect.frame_seq for defect in defects]
    assert {(after - before) % 3 for before, after in pairwise(seqs)} == {0}
    assert_covered(line)


@pytest.mark.slow
@pytest.mark.usefixtures("emulator")
def test_buffers_that_fail_in_the_driver_become_a_gap(tmp_path: Path) -> None:
    """Five, while frames flow: the camera's own process, with a fault that pylon makes."""
    import threading
    from contextlib import closing
    from dataclasses import replace

    from stripwatch.camera.essentials import configure
    from stripwatch.camera.libraries import library_of
    from stripwatch.camera.network_link import NetworkLink
    from stripwatch.camera.parts import make_parts
    from stripwatch.camera.process import CameraProcess
    from stripwatch.config.load import load_config
    from stripwatch.feed.frame_sender import FrameSender
    from stripwatch.feed.link import link_to
    from stripwatch.service.sdnotify import Notifier

    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full(SHAPE, 90, np.uint8))
    with fake_line(frame_shape=SHAPE) as line:
        path = tmp_path / "config.toml"
        write_config(line, path, PYLON.replace("FOLDER", str(folder)))
        config = load_config(path)
        camera = config.cameras[0]
        assert camera.source
        stop = threading.Event()
        with (
            closing(library_of(camera.source).open(camera.source)) as opened,
            FrameSender(link_to(config.inputs[0])) as sender,
        ):
            configure(opened, camera.source, config.line)
            parts = make_parts(config, camera, camera.source, opened)
            asked: list[int] = []

            def fail_once() -> dict[str, object]:
                if len(asked) == 1:  # the second report, a second after the start
                    opened.write("ForceFailedBufferCount", 5)
                    opened.write("ForceFailedBuffer", value=True)
                asked.append(1)
                return parts.status()

            process = CameraProcess(
                camera,
                config.line,
                opened,
                replace(parts, status=fail_once),
                sender,
                Notifier(None),
                NetworkLink(""),
            )
            thread = threading.Thread(target=process.run, args=(stop,))
            thread.start()
            try:
                line.wait(lambda: any(isinstance(event, Gap) for event in line.events))
                gaps = [event for event in line.events if isinstance(event, Gap)]
                last = gaps[0].last_frame_seq
                line.wait(lambda: results(line)[-1].frame_seq > last + 20)
                line.wait(lambda: isinstance(line.events[-1], Status))
            finally:
                stop.set()
                thread.join()
                parts.close()
        line.read()
    assert [(gap.count, str(gap.cause)) for gap in gaps] == [(5, "lost")]
    assert_covered(line)


@pytest.mark.slow
@pytest.mark.usefixtures("emulator")
def test_dirt_on_the_glass_becomes_an_event_and_the_daemon_degraded(tmp_path: Path) -> None:
    """Seen by the camera's process, told by the daemon in millimetres; gone when it is cleaned."""
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(5)
    steel = np.clip(generator.normal(100, 4, SHAPE), 0, 255).astype(np.uint8)
    dirty = steel.copy()
    dirty[:, 200:203] //= 2
    cv2.imwrite(str(folder / "0.png"), dirty)
    source = PYLON.replace("FOLDER", str(folder))
    # A frame is 2 m long, so that 50 m pass in 25 frames.
    top = Camera(name="top", crossweb_offset_mm=100.0)
    with fake_line(frame_shape=SHAPE, mm=(2000 / 128, 2.0), cameras=(top,)) as line:
        config = tmp_path / "config.toml"
        write_config(line, config, source, mm_per_line=2000 / 128)
        with camera_process(config):
            line.wait(lambda: any(isinstance(event, Light) for event in line.events))
            line.wait(
                lambda: any(
                    isinstance(event, Status) and event.state is State.DEGRADED
                    for event in line.events
                )
            )
        cv2.imwrite(str(folder / "0.png"), steel)
        with camera_process(config):
            line.wait(
                lambda: any(
                    isinstance(event, Light) and event.state == "closed" for event in line.events
                )
            )
            line.wait(lambda: isinstance(line.events[-1], Status))
    lights = [event for event in line.events if isinstance(event, Light)]
    assert [(event.state, event.kind, event.crossweb_mm) for event in lights] == [
        ("opened", "line", (500.0, 506.0)),
        ("closed", "line", (500.0, 506.0)),
    ]
    assert lights[0].share == pytest.approx(0.5, abs=0.03)
    degraded = next(
        event
        for event in line.events
        if isinstance(event, Status) and event.state is State.DEGRADED
    )
    (reason,) = degraded.reasons
    assert (reason.why, reason.camera) == ("light", "top")
    assert "50 % darker than expected at 500 to 506 mm" in reason.text
    of_camera = degraded.cameras["top"]
    assert of_camera.light == pytest.approx(100, abs=2)
    assert [fault.crossweb_mm for fault in of_camera.light_faults] == [(500.0, 506.0)]


@pytest.mark.slow
@pytest.mark.usefixtures("emulator")
def test_a_camera_is_calibrated_by_command_and_sends_flat_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dark, bright, then frames of the same uneven light: flat, as their header tells."""
    dark, plate = tmp_path / "dark", tmp_path / "plate"
    lamp = 120 * (1 - 0.5 * np.linspace(-1, 1, SHAPE[1]) ** 2)
    generator = np.random.default_rng(6)
    for folder, grey in ((dark, np.full(SHAPE[1], 5.0)), (plate, lamp)):
        folder.mkdir()
        noisy = generator.normal(0, 1, SHAPE) + grey
        cv2.imwrite(str(folder / "0.png"), np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    config = tmp_path / "config.toml"
    with fake_line(frame_shape=SHAPE) as line:

        def calibrate(folder: Path, step: str) -> int:
            write_config(line, config, PYLON.replace("FOLDER", str(folder)))
            return main(["camera", "calibrate", "top", step, "--config", str(config)])

        assert calibrate(plate, "dark") == ExitCode.CONFIG
        assert "the dark reference is not dark" in capsys.readouterr().err
        assert calibrate(dark, "dark") == ExitCode.OK
        assert "next, over the white plate" in capsys.readouterr().out
        assert calibrate(plate, "bright") == ExitCode.OK
        assert "flat_field = true" in capsys.readouterr().out
        source = PYLON.replace("FOLDER", str(plate)) + "light = { flat_field = true }\n"
        write_config(line, config, source)
        with camera_process(config):
            line.wait(lambda: len(results(line)) > 10)
            line.wait(lambda: isinstance(line.events[-1], Status))
        statuses = [event for event in line.events if isinstance(event, Status)]
    assert (tmp_path / "calibration" / "top-flat-field.json").is_file()
    assert statuses[-1].cameras["top"].light == pytest.approx(lamp.mean() - 5, abs=1)
