"""The units in systemd/: good in systemd's eyes, and in step with the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from stripwatch.config.load import load_config
from stripwatch.errors import ExitCode
from stripwatch.resources import resource_path

FOLDER = Path(__file__).resolve().parents[1] / "systemd"
UNIT = FOLDER / "stripwatch.service"
FORWARD_UNIT = FOLDER / "stripwatch-forward@.service"
PROGRAM = "/opt/stripwatch/bin/stripwatch"


def service_of(unit: Path) -> dict[str, str]:
    """The keys of a unit's [Service] section."""
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys are case-sensitive
    parser.read_string(unit.read_text())
    return dict(parser["Service"])


@pytest.fixture
def service() -> dict[str, str]:
    return service_of(UNIT)


@pytest.mark.parametrize("unit", [UNIT, FORWARD_UNIT], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_to_say(unit: Path, tmp_path: Path) -> None:
    """Checked on a copy that names a program which this machine has."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze here")
    text = unit.read_text()
    assert PROGRAM in text
    copy = tmp_path / unit.name.replace("@", "@mqtt")
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


def test_the_forwarder_runs_as_the_daemon_does(service: dict[str, str]) -> None:
    """With its user, its folders and its limits; it has no engine, so no fault of one either."""
    forward = service_of(FORWARD_UNIT)
    assert forward["ExecStart"] == f"{PROGRAM} forward %i --config /etc/stripwatch/config.toml"
    codes = {int(code) for code in forward["RestartPreventExitStatus"].split()}
    assert codes == {ExitCode.USAGE, ExitCode.CONFIG}
    own = {"ExecStart", "RestartPreventExitStatus", "WatchdogSec"}
    only_daemon = {"ExecStartPre", "ExecReload", "TimeoutStartSec"}
    assert {key: value for key, value in forward.items() if key not in own} == {
        key: value for key, value in service.items() if key not in own | only_daemon
    }
