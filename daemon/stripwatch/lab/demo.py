"""The demo: the real commands as processes of their own, watched in a live table."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stripwatch.client.subscriber import FrameImage, Subscriber
from stripwatch.errors import AddressError, ExitCode, StorageError, StripwatchError
from stripwatch.resources import resource_path
from stripwatch.service.signals import end_process
from stripwatch.view.event_text import event_line
from stripwatch.view.overlay_writer import OverlayWriter
from stripwatch.wire.event import Defect, Event, Gap, Status

CAMERAS = ("top", "bottom")
LINES_SHOWN = 12
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 30.0
LOG_CHARACTERS = 2000  # of a process that failed, shown in the error
TOPICS = ("defect", "gap", "strip", "status", "image")


def run_demo(output: Path, duration_s: float, rate: float, seed: int) -> ExitCode:
    """Run the demo and leave everything it made in `output`.

    Raises:
        StripwatchError: a part of it failed; the message shows the end of its log.
    """
    console = Console()
    frame_count = max(1, round(duration_s * rate))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{output} cannot be made: {error.strerror}") from error
    model = resource_path("models/edge/model.onnx")
    engine = output / "engine"
    console.print(f"[bold]1.[/] engine-build {model} --output {engine}", soft_wrap=True)
    _run_to_end("stripwatch_engine", [str(model), "--output", str(engine)], output)
    config, events_at = _write_config(output)
    view = _View(output, frame_count)
    console.print(f"[bold]2.[/] stripwatch run {config}", soft_wrap=True)
    with (
        Subscriber(events_at, TOPICS) as events,
        _process("stripwatch", ["run", str(config)], output / "daemon.log") as daemon,
    ):
        _wait_until_running(events, daemon, view)
        replay = ["replay", "synthetic", "--config", str(config), "--seed", str(seed)]
        replay += ["--rate", f"{rate:g}", "--count", str(frame_count)]
        for camera in CAMERAS:
            replay += ["--camera", camera]
        console.print(f"[bold]3.[/] stripwatch {' '.join(replay)}", soft_wrap=True)
        with (
            _process("stripwatch", replay, output / "camera.log") as camera_process,
            Live(view, console=console, refresh_per_second=8, transient=True),
        ):
            _watch(events, (daemon, camera_process), view)
    view.write_summary()
    console.print(view.summary_table())
    console.print(f"overlays: {view.overlays.written} PNGs in {output / 'overlays'}")
    return ExitCode.OK


class _View:
    """What the demo has seen so far, as a live table and as a summary."""

    def __init__(self, output: Path, frame_count: int) -> None:
        self._output = output
        self.frames_expected = frame_count * len(CAMERAS)
        self.overlays = OverlayWriter(output / "overlays")
        self.defects: Counter[str] = Counter()
        self.gaps = 0
        self.status: Status | None = None
        self._lines: deque[Text] = deque(maxlen=LINES_SHOWN)
        self._latency: dict[str, float] = {}  # largest p99 of each stage, ms

    def add(self, event: Event | FrameImage) -> None:
        """Take in one event."""
        match event:
            case FrameImage():
                self.overlays.add_image(event)
                return
            case Status():
                self.status = event
                for stage, row in event.latency_ms.items():
                    self._latency[stage] = max(self._latency.get(stage, 0), row["p99"])
                return
            case Defect():
                self.overlays.add_defect(event)
                self.defects[event.class_name] += 1
            case Gap():
                self.gaps += 1
        self._lines.append(event_line(event))

    def accounted(self) -> int:
        """Frames that were inspected, or missed for a named cause."""
        if self.status is None:
            return 0
        return sum(
            camera.inspected + sum(camera.missed.values())
            for camera in self.status.cameras.values()
        )

    def __rich__(self) -> Group:
        status = self.status
        head = Text("waiting for frames")
        if status:
            total = status.latency_ms.get("total", {})
            head = Text(
                f"{status.state}   {status.frames_per_s:.1f} frames/s   "
                f"{status.frames_inspected} of {self.frames_expected} inspected   "
                f"{sum(status.drops.values())} missed   "
                f"latency p50 {total.get('p50', 0):.0f} ms, p99 {total.get('p99', 0):.0f} ms"
            )
        counts = "   ".join(f"{name} {count}" for name, count in sorted(self.defects.items()))
        return Group(
            Panel(head, title="stripwatch", title_align="left"),
            Panel(Group(*self._lines), title=f"events   {counts}", title_align="left"),
        )

    def summary(self) -> dict[str, object]:
        """The figures of the run."""
        assert self.status is not None
        return {
            "frames_sent": self.frames_expected,
            "frames_inspected": self.status.frames_inspected,
            "drops": dict(self.status.drops),
            "defects": dict(sorted(self.defects.items())),
            "gaps": self.gaps,
            "overlays": self.overlays.written,
            "latency_p99_ms": self._latency,
            "model": self.status.model,
        }

    def write_summary(self) -> None:
        """Write summary.json."""
        path = self._output / "summary.json"
        path.write_text(json.dumps(self.summary(), indent=2) + "\n")

    def summary_table(self) -> Table:
        """The summary for reading."""
        table = Table("demo", "", title_justify="left")
        for name, value in self.summary().items():
            shown = value
            if isinstance(value, dict):
                shown = ", ".join(f"{key} {number}" for key, number in value.items()) or "none"
            table.add_row(name.replace("_", " "), str(shown))
        return table


def _write_config(output: Path) -> tuple[Path, str]:
    """The shipped configuration with the demo's engine; its path and the events' endpoint."""
    text = resource_path("config.toml").read_text()
    frames_port, events_port = _free_port(5550), _free_port(5551)
    for old, new in (
        (":5550", f":{frames_port}"),
        (":5551", f":{events_port}"),
        ("models/edge/openvino", "engine"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = output / "config.toml"
    path.write_text(text)
    return path, f"tcp://127.0.0.1:{events_port}"


def _free_port(wished: int) -> int:
    """The port wished for, or any other where a daemon that is running has it."""
    for port in (wished, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AddressError("no port is free on 127.0.0.1")


def _wait_until_running(events: Subscriber, daemon: subprocess.Popen[bytes], view: _View) -> None:
    until_s = time.monotonic() + START_TIMEOUT_S
    while view.status is None:
        _assert_healthy((daemon,), until_s, view)
        event = events.receive(0.1)
        if event:
            view.add(event)


def _watch(events: Subscriber, processes: Sequence[subprocess.Popen[bytes]], view: _View) -> None:
    """Show events until every frame is accounted for and the last event has come."""
    until_s: float | None = None
    while view.accounted() < view.frames_expected:
        if processes[-1].poll() is not None and until_s is None:
            until_s = time.monotonic() + END_TIMEOUT_S  # the camera is done
        _assert_healthy(processes, until_s, view)
        event = events.receive(0.1)
        if event:
            view.add(event)


def _assert_healthy(
    processes: Sequence[subprocess.Popen[bytes]], until_s: float | None, view: _View
) -> None:
    for process in processes:
        if process.poll():
            raise StripwatchError(f"{process.args!r} ended with exit code {process.returncode}")
    if until_s is not None and time.monotonic() > until_s:
        raise StripwatchError(
            f"only {view.accounted()} of {view.frames_expected} frames were accounted for in time"
        )


def _run_to_end(module: str, arguments: list[str], output: Path) -> None:
    with _process(module, arguments, output / "engine-build.log") as process:
        if process.wait(START_TIMEOUT_S):
            raise StripwatchError(f"engine-build ended with exit code {process.returncode}")


@contextmanager
def _process(module: str, arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One of our own commands as a process; stopped at the end, its log shown when it failed."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    except StripwatchError as error:
        tail = log.read_text(errors="replace")[-LOG_CHARACTERS:]
        raise type(error)(f"{error}\n{log}:\n{tail}" if tail else str(error)) from error
    finally:
        end_process(process, END_TIMEOUT_S)
