"""Processes under the restrictions of their units, which are applied here in systemd's place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zmq
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.models import save_pits_and_cracks
from tests.programs import program
from tests.systemd.unit_files import FOLDER, ROOT, keys_of

from stripwatch.client.subscriber import Subscriber
from stripwatch.engines.manifest import Manifest
from stripwatch.errors import ExitCode
from stripwatch.service.priority import NICENESS
from stripwatch.testing import WAIT_S, FakeCamera
from stripwatch.wire.event import Status

UNIT = FOLDER / "stripwatch.service"
PAGE = FOLDER / "stripwatch-page.service"

# Root without rights, a root file system that cannot be written, and one folder that can.
CONFINE = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'
WITHOUT_RIGHTS = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")

FORBIDDEN = """
import mmap, os, socket
tries = {
    "raw sockets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "owners": lambda: os.chown(".", 0, 0),
    "processor affinity": lambda: os.sched_setaffinity(0, {0}),
    "code made at run time": lambda: mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ),
}
for name, try_it in tries.items():
    try:
        try_it()
    except PermissionError:
        print(name)
"""
USED = """
import argon2, cv2, paho.mqtt.client, sqlite3, ssl, starlette.applications, uvicorn, zmq
import stripwatch.cli.forward, stripwatch.cli.report
print(argon2.PasswordHasher().hash("word")[:9])
print(sqlite3.connect(":memory:").execute("select 1").fetchone())
"""


def restricted(*files: Path) -> tuple[str, ...]:
    """The command that runs another one under the restrictions of a unit and its drop-ins."""
    return (sys.executable, "-m", "tests.systemd.restricted", *map(str, files), "--")


def output_of(script: str, *files: Path) -> str:
    done = subprocess.run(
        [*restricted(*files), sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_restrictions_bite() -> None:
    """Otherwise the tests below would show nothing."""
    said = output_of(FORBIDDEN, PAGE).splitlines()
    assert said == ["raw sockets", "owners", "processor affinity", "code made at run time"]


def test_page_and_forwarder_find_what_they_use() -> None:
    """They have the same limits (test_units.py)."""
    assert output_of(USED, PAGE) == "$argon2id\n(1,)\n"


def test_the_page_has_its_niceness_from_the_unit() -> None:
    """It may not raise it by itself there, and goes on all the same."""
    assert keys_of(PAGE)["Nice"] == [str(NICENESS)]
    before = os.getpriority(os.PRIO_PROCESS, 0)
    script = "import os\nfrom stripwatch.service.priority import give_way\ngive_way()\n"
    said = output_of(script + "print(os.getpriority(os.PRIO_PROCESS, 0))", PAGE)
    assert said == f"{before}\n"


@pytest.fixture
def confined(
    tmp_path: Path, build_engine: Callable[[Path, tuple[int, int], Path], Manifest]
) -> Iterator[Daemon]:
    """A daemon with an OpenVINO engine, not yet started; it will only write into its folder."""
    may_mount = subprocess.run(
        [program("unshare", "util-linux"), "--mount", "true"], capture_output=True, check=False
    )
    if os.geteuid() != 0 or may_mount.returncode != 0:
        pytest.skip("what the file system shows may not be changed here")
    weights = np.random.default_rng(1).normal(size=(2, 1, 5, 5)).astype(np.float32)
    save_pits_and_cracks(tmp_path / "model.onnx", weights)
    build_engine(tmp_path / "model.onnx", DAEMON_SHAPE, tmp_path / "engine")
    with closing(Daemon(tmp_path)) as daemon:
        yield daemon


def start(daemon: Daemon, *files: Path) -> None:
    confine = ("unshare", "--mount", "sh", "-c", CONFINE, str(daemon.folder))
    daemon.program = (*confine, *WITHOUT_RIGHTS, *restricted(*files), *daemon.program)
    daemon.start()


@pytest.mark.slow
def test_the_daemon_inspects_and_drains(confined: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY when it is warm, WATCHDOG while it runs, STOPPING, exit code 0."""
    monkeypatch.chdir(ROOT)
    start(confined, UNIT)
    confined.wait_for("READY=1")
    confined.wait_for("WATCHDOG=1")
    with (
        Subscriber(f"ipc://{confined.folder}/out", ("status",)) as events,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as push,
    ):
        push.connect(f"ipc://{confined.folder}/in")
        FakeCamera(push, DAEMON_SHAPE).send("top", "s", 0)
        status = events.receive(WAIT_S)
        while not (isinstance(status, Status) and "top" in status.cameras):
            status = events.receive(WAIT_S)
            assert status is not None, confined.log.read_text()
    assert status.cameras["top"].inspected == 1
    confined.read_messages()  # its queue holds ten
    assert confined.stop() == ExitCode.OK
    confined.read_messages()
    assert "STOPPING=1" in confined.messages
    assert (confined.folder / "journal" / "journal.db").is_file()


@pytest.mark.slow
def test_openvino_compiles_so_that_its_memory_must_be_executable(
    confined: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason why the daemon's unit lacks MemoryDenyWriteExecute=."""
    monkeypatch.chdir(ROOT)
    drop_in = confined.folder / "stricter.conf"
    drop_in.write_text("[Service]\nMemoryDenyWriteExecute=yes\n")
    start(confined, UNIT, drop_in)
    assert confined.process
    assert confined.process.wait(30) == ExitCode.MODEL
    assert "OpenVINO cannot load" in confined.log.read_text()
