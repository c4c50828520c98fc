"""docs/examples/read-everything.mjs, the wire protocol in another language, loses no event."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.line.test_restart import journalled

from stripwatch.testing import FakeCamera
from stripwatch.wire.event import NumberedEvent

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "read-everything.mjs"
INSTALL_S_MAX = 120
LINES_MAX = 40


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example beside an installed zeromq package."""
    if os.geteuid() != 0:
        pytest.skip("installs Node packages only as root, as in a container")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("node")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "zeromq@6"],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=INSTALL_S_MAX,
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install zeromq: {installed.stderr[-200:]!r}")
    return Path(shutil.copy(EXAMPLE, folder))


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= LINES_MAX


@pytest.mark.slow
def test_the_example_has_every_event_once(
    program: Path, daemon: Daemon, camera: FakeCamera
) -> None:
    """Killed itself, and with the daemon killed; its queue at the daemon holds 20 events."""
    results = daemon.folder / "results"
    endpoints = [f"ipc://{daemon.folder}/{name}" for name in ("out", "requests")]
    command = ["node", str(program), str(results), *endpoints]

    def read() -> list[NumberedEvent]:
        lines = results.read_bytes().splitlines() if results.exists() else []
        return [msgspec.json.decode(line, type=NumberedEvent) for line in lines]

    def all_read() -> bool:
        return read()[-1:] == journalled(daemon.folder)[-1:]

    defective = np.zeros(DAEMON_SHAPE, np.uint8)
    defective[3:9, 3:40:6] = 252
    process = daemon.start()
    daemon.wait_for("READY=1")
    reader = subprocess.Popen(command, cwd=program.parent)
    try:
        for seq in range(600):
            camera.send("top", "s", seq, defective, strip="coil-7", line=seq * 32, end=seq == 599)
            if seq == 200:
                daemon.wait(lambda: len(read()) > 100)
                reader.kill()
                reader.wait()
            if seq == 400:
                process.kill()
                process.wait()
                daemon.messages.clear()
                process = daemon.start()
                reader = subprocess.Popen(command, cwd=program.parent)
        daemon.wait_for("READY=1")
        daemon.wait(lambda: len(read()) > 600 and all_read())
        assert read() == journalled(daemon.folder)
    finally:
        reader.kill()
        reader.wait()
