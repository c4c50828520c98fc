"""Four cameras in software at once, each with its process, into one daemon on the fake engine."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec

from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    PicturesSection,
    Publish,
)
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import StripwatchError
from stripwatch.journal.store import FILE
from stripwatch.journal.summary import summarize
from stripwatch.lab.bench.figures import Figures
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.processes import Process, command_process, daemon_process

CAMERAS = 4
FRAMES_PER_S = 100  # of each camera
START_S_MAX = 60.0
STOP_S_MAX = 10.0
PACKET_BYTES = 9000


def camera_load(setup: BenchSetup) -> Figures:
    """Frames per second, losses, and processor time a frame, with four cameras.

    The cameras in software take processor time, too: they share the machine with what is measured.

    Raises:
        StripwatchError: the cameras do not deliver.
    """
    folder = setup.sockets / "cameras"
    folder.mkdir()
    config = _config(setup, folder)
    with ExitStack() as stack:
        fakes, processes = [], []
        for number in range(CAMERAS):
            arguments = ["camera", "fake", "--address", _address(number)]
            arguments += ["--serial", f"B{number}", "--motion", _motion(setup)]
            log = folder / f"fake{number}.log"
            fakes.append(
                stack.enter_context(command_process("stripwatch", arguments, STOP_S_MAX, log))
            )
        path = folder / "config.toml"
        daemon = stack.enter_context(daemon_process(config, path, folder / "daemon.log"))
        for camera in config.cameras:
            arguments = ["camera", camera.name, "--config", str(path)]
            log = folder / f"{camera.name}.log"
            processes.append(
                stack.enter_context(command_process("stripwatch", arguments, STOP_S_MAX, log))
            )
        _await_all(folder)
        before, begun_s = _counts(folder), time.monotonic()
        used = {"camera": fakes, "process": processes, "daemon": [daemon]}
        cpu_before = {name: _cpu_s(group) for name, group in used.items()}
        time.sleep(max(setup.seconds, 1.0))
        after, elapsed_s = _counts(folder), time.monotonic() - begun_s
        cpu = {name: _cpu_s(group) - cpu_before[name] for name, group in used.items()}
    frames = after["inspected"] - before["inspected"]
    if not frames:
        raise StripwatchError("no frame was inspected while it was measured")
    return {
        "cameras": CAMERAS,
        "frame": f"{setup.frame_shape[0]}x{setup.frame_shape[1]}",
        "asked frames/s": CAMERAS * FRAMES_PER_S,
        "inspected frames/s": round(frames / elapsed_s, 1),
        "MB/s": round(frames * setup.frame_shape[0] * setup.frame_shape[1] / elapsed_s / 1e6, 1),
        "missed frames": after["missed"] - before["missed"],
        "process, ms of processor a frame": round(cpu["process"] / frames * 1e3, 3),
        "daemon, ms of processor a frame": round(cpu["daemon"] / frames * 1e3, 3),
        "camera in software, ms of processor a frame": round(cpu["camera"] / frames * 1e3, 3),
        "load of the machine": round(os.getloadavg()[0], 1),
    }


def _address(number: int) -> str:
    return f"127.77.{os.getpid() % 250}.{number + 2}"


def _motion(setup: BenchSetup) -> str:
    return str(FRAMES_PER_S * setup.frame_shape[0])


def _config(setup: BenchSetup, folder: Path) -> Config:
    (folder / "engine").mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="bench",
        precision="fp32",
        frame_shape=setup.frame_shape,
        classes=(DefectClass(id=1, name="kind1"),),
        fake=FakeBehaviour(),
    )
    save_manifest(folder / "engine", manifest)
    lines, pixels = setup.frame_shape
    source = CameraSource(
        kind="aravis", packet_bytes=PACKET_BYTES, lines_lost_chunk="ChunkLinesSkipped"
    )
    return Config(
        line=Geometry(frame_lines=lines, frame_pixels=pixels, mm_per_line=0.5, mm_per_pixel=0.5),
        cameras=tuple(
            Camera(
                name=f"camera{number}",
                source=msgspec.structs.replace(source, id=_address(number)),
            )
            for number in range(CAMERAS)
        ),
        inputs=(Input(endpoint=f"ipc://{folder}/in"),),
        engine=EngineSection(folder=str(folder / "engine")),
        publish=Publish(endpoint=f"ipc://{folder}/out"),
        batch=Batch(rows=setup.rows),
        journal=JournalSection(folder=str(folder / "journal")),
        pictures=PicturesSection(crops=False),
    )


def _await_all(folder: Path) -> None:
    until_s = time.monotonic() + START_S_MAX
    while _counts(folder)["cameras"] < CAMERAS:
        if time.monotonic() > until_s:
            logs = "".join(path.read_text()[-500:] for path in sorted(folder.glob("camera*.log")))
            raise StripwatchError(f"not all cameras deliver frames:\n{logs}")
        time.sleep(0.2)


def _counts(folder: Path) -> Counter[str]:
    """Cameras in the journal, and their frames inspected and missed."""
    counts: Counter[str] = Counter()
    if (folder / "journal" / FILE).exists():
        summary = summarize(folder / "journal", count_types=False, progress=lambda *_: None)
        for camera in summary.cameras:
            counts["cameras"] += 1
            counts["inspected"] += camera.inspected
            counts["missed"] += sum(camera.missed.values())
    return counts


def _cpu_s(processes: list[Process]) -> float:
    """Processor time of processes so far, of all their threads: proc(5)."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
