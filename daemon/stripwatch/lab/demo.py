"""The demo: the real commands as child processes, watched in a live table."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from stripwatch.client.subscriber import Subscriber
from stripwatch.config.grading import Grading, Rule
from stripwatch.config.load import load_config
from stripwatch.config.rolls import Roll
from stripwatch.config.sections import Config, RequestsSection
from stripwatch.errors import AddressError, ExitCode, StorageError, StripwatchError
from stripwatch.lab.demo_view import OVERLAYS_FOLDER, SUMMARY_NAME, DemoView
from stripwatch.lab.processes import Process, command_process, daemon_process
from stripwatch.resources import resource_path
from stripwatch.service.console import Progress, ProgressBar

FRAMES_PORT, EVENTS_PORT, REQUESTS_PORT = 5550, 5551, 5552  # of the shipped configuration
ENGINE_FOLDER = "engine"  # inside the output folder, beside config.toml
CAMERAS = ("top", "bottom")
MARKED = "top"  # the side that a roll has marked
ROLL_MARK = "1885,400"  # every so many mm along the strip, so many mm across: a roll of 600 mm
SCRATCH = "4000,8000,700"  # on the other side: from, length, across
LOST_SHARE, LOST_FRAMES = 0.6, 4  # of each camera, so many frames are lost on the way
REPORT_NAME = "report.html"
OVERLAY_NAME = re.compile(rf"demo--?\d+_({'|'.join(CAMERAS)})_\d+_[0-9a-f]+\.png")  # of every seed
COMMAND_TIMEOUT_S = 60.0
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 30.0
TOPICS = ("defect", "gap", "light", "periodic", "strip", "status", "image")


def run_demo(output: Path, duration_s: float, rate: float, seed: int) -> ExitCode:
    """Run the demo; engine, configuration, logs, overlays and summary.json stay in `output`.

    Raises:
        StripwatchError: a part of it failed; the message shows the end of its log.
    """
    console = Console()
    frame_count = max(1, round(duration_s * rate))
    build_demo_engine(output, console)
    config, path = demo_config(), output / "config.toml"
    view = DemoView(output, frame_count * len(CAMERAS))
    console.print(f"[bold]2.[/] stripwatch run {path}", soft_wrap=True)
    with (
        Subscriber(config.publish.endpoint, TOPICS) as events,
        daemon_process(config, path, output / "daemon.log") as daemon,
    ):
        _wait_until_running(events, daemon, view)
        with ExitStack() as cameras:
            processes = []
            for camera in CAMERAS:
                replay = camera_command(path, camera, f"demo-{seed}", seed, rate, frame_count)
                console.print(f"[bold]3.[/] stripwatch {' '.join(replay)}", soft_wrap=True)
                log = output / f"camera-{camera}.log"
                process = command_process("stripwatch", replay, END_TIMEOUT_S, log)
                processes.append(cameras.enter_context(process))
            if console.is_terminal:
                live = Live(view, console=console, refresh_per_second=8, transient=True)
                cameras.enter_context(live)
                _watch(events, daemon, processes, view)
            else:
                lines = cameras.enter_context(ProgressBar())
                _watch(events, daemon, processes, view, lines.show)
    view.write_summary()
    console.print(view.summary_table())
    report = output / REPORT_NAME
    arguments = ["report", f"demo-{seed}", "--config", str(path), "--output", str(report)]
    console.print(f"[bold]4.[/] stripwatch {' '.join(arguments)}", soft_wrap=True)
    _run_to_end("stripwatch", arguments, output / "report.log")
    console.print(_next_steps(output, view.overlays.written), soft_wrap=True, highlight=False)
    return ExitCode.OK


def build_demo_engine(output: Path, console: Console) -> None:
    """Build the engine of the demo into its folder, and clear what an earlier demo found.

    Raises:
        StripwatchError: it cannot be built, or the folder cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        _remove_earlier_results(output)
    except OSError as error:
        raise StorageError(f"{output} cannot be written: {error.strerror}") from error
    model = resource_path("models/edge/model.onnx")
    engine = output / ENGINE_FOLDER
    console.print(f"[bold]1.[/] engine-build {model} --output {engine}", soft_wrap=True)
    with ProgressBar() as progress:
        progress.show("building and verifying the engine, about 10 s", 0, 0)
        arguments = [str(model), "--output", str(engine)]
        _run_to_end("stripwatch_engine", arguments, output / "engine-build.log")


def camera_command(
    config: Path, camera: str, strip: str, seed: int, rate: float, frame_count: int
) -> list[str]:
    """The arguments of `stripwatch` that send one side of a strip."""
    # Another seed for each: the two sides of a strip have defects of their own.
    replay = ["replay", "synthetic", "--config", str(config), "--camera", camera]
    replay += ["--seed", str(seed + CAMERAS.index(camera)), "--strip", strip]
    replay += ["--rate", f"{rate:g}", "--count", str(frame_count)]
    flaw = ("--roll-mark", ROLL_MARK) if camera == MARKED else ("--scratch", SCRATCH)
    first = int(LOST_SHARE * frame_count)
    return [*replay, *flaw, "--lose", f"{first}-{first + LOST_FRAMES - 1}"]


def _remove_earlier_results(output: Path) -> None:
    """Remove what an earlier demo found, by the names that it gives: the rest may be anybody's."""
    for path in (output / OVERLAYS_FOLDER).glob("demo-*.png"):
        if OVERLAY_NAME.fullmatch(path.name):
            path.unlink()
    (output / SUMMARY_NAME).unlink(missing_ok=True)


def _next_steps(output: Path, overlays: int) -> str:
    """What to look at after the demo, and what to try."""
    config = output / "config.toml"
    return (
        f"Open {output / REPORT_NAME} in a browser: the report of the strip, its grade and why.\n"
        f"Open {output / OVERLAYS_FOLDER}: {overlays} frames with their defects drawn in.\n"
        "Then try, in three terminals:\n"
        f"  stripwatch run {config}\n"
        f"  stripwatch events --config {config}\n"
        f"  stripwatch replay synthetic --config {config} --loop\n"
        "What comes next: docs/tutorial-first-subscriber.md, docs/tutorial-first-model.md"
    )


def demo_config() -> Config:
    """The shipped configuration with the demo's engine and free ports."""
    shipped = load_config(resource_path("config.toml"))
    replace = msgspec.structs.replace
    (frames,) = shipped.inputs
    return replace(
        shipped,
        inputs=(replace(frames, endpoint=f"tcp://127.0.0.1:{free_port(FRAMES_PORT)}"),),
        engine=replace(shipped.engine, folder=ENGINE_FOLDER),
        journal=replace(shipped.journal, folder="journal"),
        rolls=(Roll(name="work roll", diameter_mm=(590.0, 610.0)),),
        grading=Grading(
            rule_set="demo",
            grades=("prime", "second"),
            rules=(
                Rule(name="inspected", measure="not_inspected_m", limit=1.0, grade="second"),
                Rule(name="no roll marks", measure="count", periodic=True, limit=0, grade="second"),
                Rule(name="density", measure="count_per_100_m", limit=2000, grade="second"),
            ),
        ),
        publish=replace(shipped.publish, endpoint=f"tcp://127.0.0.1:{free_port(EVENTS_PORT)}"),
        requests=RequestsSection(endpoint=f"tcp://127.0.0.1:{free_port(REQUESTS_PORT)}"),
    )


def free_port(preferred: int) -> int:
    """The preferred port, or any other where a running daemon has it.

    Raises:
        AddressError: no port is free.
    """
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AddressError("no port is free on 127.0.0.1")


def _wait_until_running(events: Subscriber, daemon: Process, view: DemoView) -> None:
    until_s = time.monotonic() + START_TIMEOUT_S
    while view.status is None:
        _assert_healthy((daemon,), until_s, view)
        event = events.receive(0.1)
        if event:
            view.add(event)


def _watch(
    events: Subscriber,
    daemon: Process,
    cameras: Sequence[Process],
    view: DemoView,
    progress: Progress = lambda *_: None,
) -> None:
    """Show events until every frame is accounted for."""
    until_s: float | None = None
    while view.accounted() < view.frames_expected:
        if until_s is None and all(camera.poll() is not None for camera in cameras):
            until_s = time.monotonic() + END_TIMEOUT_S  # the cameras are done
        _assert_healthy((daemon, *cameras), until_s, view)
        event = events.receive(0.1)
        if event:
            view.add(event)
        progress("inspecting frames", view.accounted(), view.frames_expected)


def _assert_healthy(processes: Sequence[Process], until_s: float | None, view: DemoView) -> None:
    for process in processes:
        if process.poll():
            raise StripwatchError(f"{process.args!r} ended with exit code {process.returncode}")
    if until_s is not None and time.monotonic() > until_s:
        raise StripwatchError(
            f"only {view.accounted()} of {view.frames_expected} frames were accounted for in time"
        )


def _run_to_end(module: str, arguments: list[str], log: Path) -> None:
    """Run a command.

    Raises:
        StripwatchError: it fails, or takes too long; the message shows the end of its log.
    """
    with command_process(module, arguments, END_TIMEOUT_S, log) as process:
        try:
            code = process.wait(COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise StripwatchError(f"{module} took longer than {COMMAND_TIMEOUT_S:g} s") from None
        if code:
            raise StripwatchError(f"{module} ended with exit code {code}")
