"""The daemon inspects whatever becomes of its standard error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from stripwatch.client.subscriber import Subscriber
from stripwatch.errors import ExitCode
from stripwatch.testing import FakeCamera
from stripwatch.wire.event import Status

if TYPE_CHECKING:
    from tests.line.conftest import Daemon


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["gone", "stuck", "full", "closed"])
def test_the_daemon_runs_and_stops_without_its_log(
    daemon: Daemon, camera: FakeCamera, fate: Literal["gone", "stuck", "full", "closed"]
) -> None:
    """Its reader has gone or does not read, its disk is full, or there never was one."""
    reader, writer = os.pipe()
    if fate == "full":
        writer = os.open("/dev/full", os.O_WRONLY)
    if fate == "gone":
        os.close(reader)
    command = [sys.executable, "-m", "stripwatch", "run", str(daemon.config)]
    if fate == "closed":
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    if fate == "stuck":
        os.write(writer, bytes(65536))  # as much as a pipe holds
    environment = os.environ | {"NOTIFY_SOCKET": str(daemon.folder / "notify")}
    daemon.log.touch()
    daemon.process = subprocess.Popen(command, stderr=writer, env=environment)
    daemon.wait_for("READY=1")
    with Subscriber(f"ipc://{daemon.folder}/out", ("status",)) as events:
        seq = 0
        until_s = time.monotonic() + 30
        while True:
            camera.send("top", "s", seq, codec="gif" if seq % 2 else "raw")
            camera.send("nobody", "s", seq)
            seq += 1
            event = events.receive(0.05)
            if isinstance(event, Status) and event.frames_inspected > 20:
                break
            assert time.monotonic() < until_s
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == ExitCode.OK


@pytest.mark.slow
def test_a_hangup_while_the_daemon_starts_does_not_end_it(daemon: Daemon) -> None:
    """What it asks for is read anyway."""
    process = daemon.start()
    until_s = time.monotonic() + 30
    ignored = Path(f"/proc/{process.pid}/status")
    while not int(ignored.read_text().split("SigIgn:")[1].split()[0], 16) & 1:
        assert time.monotonic() < until_s
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    daemon.wait_for("READY=1")
    assert daemon.stop() == ExitCode.OK
