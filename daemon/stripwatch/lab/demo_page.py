"""The demo with the operator's page: strips that follow each other until Ctrl-C."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Event

import msgspec
from rich.console import Console

from stripwatch.config.page import Page
from stripwatch.errors import ExitCode, StripwatchError
from stripwatch.lab.demo import (
    CAMERAS,
    END_TIMEOUT_S,
    build_demo_engine,
    camera_command,
    demo_config,
    free_port,
)
from stripwatch.lab.processes import Process, command_process, daemon_process
from stripwatch.service.signals import stop_on_signals

PAGE_PORT = 8350
POLL_S = 0.2
PAUSE_S = 2.0  # between two strips


def run_page_demo(output: Path, duration_s: float, rate: float, seed: int) -> ExitCode:
    """Run daemon, page and cameras until Ctrl-C; each strip takes `duration_s`.

    Raises:
        StripwatchError: a part of it failed; the message shows the end of its log.
    """
    console = Console()
    build_demo_engine(output, console)
    # Everybody on this computer may try everything.
    page = Page(endpoint=f"127.0.0.1:{free_port(PAGE_PORT)}", local_role="change")
    config = msgspec.structs.replace(demo_config(), page=page)
    path = output / "config.toml"
    frames = max(1, round(duration_s * rate))
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        console.print(f"[bold]2.[/] stripwatch run {path}", soft_wrap=True)
        daemon = stack.enter_context(daemon_process(config, path, output / "daemon.log"))
        arguments = ["page", "--config", str(path)]
        console.print(f"[bold]3.[/] stripwatch {' '.join(arguments)}", soft_wrap=True)
        served = stack.enter_context(
            command_process("stripwatch", arguments, END_TIMEOUT_S, output / "page.log")
        )
        console.print(f"[bold]4.[/] open {page.url} in a browser; Ctrl-C ends", soft_wrap=True)
        for number in count(1):
            with ExitStack() as cameras:
                senders = []
                for camera in CAMERAS:
                    strip_seed = seed + len(CAMERAS) * (number - 1)
                    command = camera_command(
                        path, camera, f"demo-{number}", strip_seed, rate, frames
                    )
                    log = output / f"camera-{camera}.log"
                    sender = command_process("stripwatch", command, END_TIMEOUT_S, log)
                    senders.append(cameras.enter_context(sender))
                if _is_over(stop, (daemon, served), senders):
                    return ExitCode.OK
            if stop.wait(PAUSE_S):
                return ExitCode.OK
    return ExitCode.OK


def _is_over(stop: Event, always: Sequence[Process], senders: Sequence[Process]) -> bool:
    """Wait for the end of a strip; whether it is the end of the demo.

    Raises:
        StripwatchError: a process has failed.
    """
    while not stop.wait(POLL_S):
        for process in (*always, *senders):
            code = process.poll()
            if code or (code is not None and process in always):
                raise StripwatchError(f"{process.args!r} ended with exit code {code}")
        if all(sender.poll() is not None for sender in senders):
            return False
    return True
