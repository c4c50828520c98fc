"""systemd/stripwatch.service: good in systemd's eyes, and in step with the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from stripwatch.config import load_config
from stripwatch.errors import ExitCode
from stripwatch.resources import resource_path

UNIT = Path(__file__).resolve().parents[1] / "systemd" / "stripwatch.service"
PROGRAM = "/opt/stripwatch/bin/stripwatch"


@pytest.fixture
def service() -> dict[str, str]:
    """The keys of the unit's [Service] section."""
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys are case-sensitive
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """Checked on a copy that names a program which this machine has."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze here")
    text = UNIT.read_text()
    assert PROGRAM in text
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(PROGRAM, sys.executable))
    done = subprocess.run(
        [tool, "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_that_a_restart_cannot_fix_are_not_retried(service: dict[str, str]) -> None:
    listed = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert listed == {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.MODEL}
    assert service["Restart"] == "on-failure"


def test_stopping_may_take_as_long_as_draining(service: dict[str, str]) -> None:
    drain_s = load_config(resource_path("config.toml")).service.drain_timeout_s
    assert float(service["TimeoutStopSec"]) > drain_s


def test_only_the_daemon_itself_reports_its_state(service: dict[str, str]) -> None:
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["ExecStart"] == f"{PROGRAM} run /etc/stripwatch/config.toml"
    assert service["User"] == "stripwatch"
    assert float(service["WatchdogSec"]) > 0
