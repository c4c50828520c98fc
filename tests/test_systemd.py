"""The unit file and the notification protocol."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest

from stripwatch.errors import ExitCode
from stripwatch.resources import shipped
from stripwatch.sdnotify import Notifier

UNIT = Path(__file__).resolve().parents[1] / "systemd" / "stripwatch.service"


def settings() -> dict[str, str]:
    rows = [row for row in UNIT.read_text().splitlines() if "=" in row and not row.startswith("#")]
    return dict(row.split("=", 1) for row in rows)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about it."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / UNIT.name
    # It insists that the program exists; the installed one does not, on this machine.
    unit.write_text(UNIT.read_text().replace("/opt/stripwatch/bin/stripwatch", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr


def test_the_units_limits_fit_the_daemon() -> None:
    """Stopping may take as long as draining may; a hopeless start is not repeated."""
    service = tomllib.loads(shipped("config.toml").read_text())["service"]
    unit = settings()
    assert unit["Type"] == "notify"
    assert float(unit["TimeoutStopSec"]) > service["drain_timeout_s"] + 5
    hopeless = {int(code) for code in unit["RestartPreventExitStatus"].split()}
    assert hopeless == {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.MODEL}


@pytest.mark.parametrize("abstract", [False, True])
def test_each_message_is_one_datagram(tmp_path: Path, *, abstract: bool) -> None:
    """On a path and in the abstract namespace, which an "@" stands for."""
    name = f"stripwatch-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name if abstract else name)
        listener.settimeout(5)
        notifier = Notifier("@" + name if abstract else name)
        notifier.ready()
        notifier.status("two\nlines")
        notifier.watchdog()
        notifier.stopping()
        notifier.close()
        got = [listener.recv(100).decode() for _ in range(4)]
    assert got == ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_service_manager_nothing_happens(address: str | None) -> None:
    Notifier(address).ready()


def test_a_service_manager_that_is_gone_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inspection does not depend on it."""
    notifier = Notifier(str(tmp_path / "nobody"))
    notifier.ready()
    notifier.watchdog()
    assert capsys.readouterr().out.count("cannot notify") == 1


def test_a_service_manager_that_does_not_read_does_not_hold_the_daemon(tmp_path: Path) -> None:
    """More messages than its queue holds: the rest are dropped."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        notifier = Notifier(path)
        for _ in range(10_000):
            notifier.watchdog()
        assert deaf.recv(100) == b"WATCHDOG=1"
        notifier.watchdog()  # and it goes on when there is room again
        notifier.close()
