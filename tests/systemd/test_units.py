"""The units in systemd/: good in systemd's eyes, and in step with the program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.programs import program
from tests.systemd.unit_files import (
    DROP_INS,
    FOLDER,
    PROGRAM,
    analyze,
    keys_of,
    runnable_copy,
    systemd_version,
    value_of,
)

from stripwatch.config.load import load_config
from stripwatch.errors import ExitCode
from stripwatch.resources import resource_path

UNIT = FOLDER / "stripwatch.service"
CAMERA = FOLDER / "stripwatch-camera@.service"
PAGE = FOLDER / "stripwatch-page.service"
FORWARD = FOLDER / "stripwatch-forward@.service"
SERVICES = (UNIT, CAMERA, PAGE, FORWARD)
TARGET = "stripwatch.target"
CONFIG = "/etc/stripwatch/config.toml"


def by_name(path: Path) -> str:
    return path.name


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_unit_is_known_to_these_tests() -> None:
    assert {*FOLDER.glob("*.service"), *FOLDER.glob("*.target")} == {*SERVICES, FOLDER / TARGET}


def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """Of copies that name a program which this machine has, all at once: they name each other."""
    copies = runnable_copy(tmp_path, *(unit.name for unit in SERVICES), TARGET)
    done = analyze("verify", "--man=no", *map(str, copies))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("drop_in", sorted(DROP_INS.iterdir()), ids=by_name)
def test_systemd_understands_the_drop_ins(drop_in: Path, tmp_path: Path) -> None:
    """Those whose name begins with a number are for that version of systemd and newer."""
    number = drop_in.name.partition("-")[0]
    if number.isdecimal() and systemd_version() < int(number):
        pytest.skip(f"systemd {systemd_version()} is here, the drop-in is for {number}")
    name = next(
        Path(word).parent.name.removesuffix(".d")
        for word in drop_in.read_text().split()
        if word.startswith("/etc/systemd/system/")
    )
    (unit,) = runnable_copy(tmp_path, name)
    runnable_copy(tmp_path, TARGET)
    folder = unit.with_name(f"{unit.name}.d")
    folder.mkdir()
    shutil.copy(drop_in, folder)
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("unit", "command", "codes"),
    [
        (UNIT, f"run {CONFIG}", {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.MODEL}),
        (CAMERA, f"camera %i --config {CONFIG}", {ExitCode.USAGE, ExitCode.CONFIG}),
        (PAGE, f"page --config {CONFIG}", {ExitCode.USAGE, ExitCode.CONFIG}),
        (FORWARD, f"forward %i --config {CONFIG}", {ExitCode.USAGE, ExitCode.CONFIG}),
    ],
    ids=["daemon", "camera", "page", "forward"],
)
def test_only_errors_that_a_restart_cannot_fix_end_a_service(
    unit: Path, command: str, codes: set[ExitCode]
) -> None:
    """All others are tried again, however often."""
    assert value_of(unit, "ExecStart") == f"{PROGRAM} {command}"
    assert value_of(unit, "Restart") == "on-failure"
    assert {int(code) for code in value_of(unit, "RestartPreventExitStatus").split()} == codes
    assert keys_of(unit, section="Unit")["StartLimitIntervalSec"] == ["0"]


def test_stopping_may_take_as_long_as_draining() -> None:
    drain_s = load_config(resource_path("config.toml")).service.drain_timeout_s
    assert float(value_of(UNIT, "TimeoutStopSec")) > drain_s


@pytest.mark.parametrize("unit", SERVICES, ids=by_name)
def test_the_process_itself_says_when_it_is_ready_and_that_it_lives(unit: Path) -> None:
    assert value_of(unit, "Type") == "notify"
    assert value_of(unit, "NotifyAccess") == "main"
    assert float(value_of(unit, "WatchdogSec")) > 0


def test_all_services_run_as_one_user_in_the_same_folders_with_the_same_limits() -> None:
    """What one may do beyond the others is in this list, and in no other place."""
    own = {
        UNIT: {"DevicePolicy", "DeviceAllow", "RuntimeDirectory", "RuntimeDirectoryMode"}
        | {"RuntimeDirectoryPreserve"},
        CAMERA: {"DevicePolicy", "DeviceAllow"},
        PAGE: {"MemoryDenyWriteExecute", "PrivateDevices", "PrivateUsers"},
        FORWARD: {"MemoryDenyWriteExecute", "PrivateDevices", "PrivateUsers"},
    }
    differ = {"RestrictAddressFamilies", "SystemCallFilter", "LoadCredential"}
    life = {
        "Type",
        "NotifyAccess",
        "WatchdogSec",
        "Nice",
        "CPUWeight",
        "IOWeight",
        "TimeoutStartSec",
    }
    prefixes = ("Exec", "Restart", "TimeoutStop")
    shared = []
    for unit in SERVICES:
        keys = {
            key: values
            for key, values in keys_of(unit).items()
            if key in {"RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"}
            or not (key in differ | life or key.startswith(prefixes))
        }
        assert own[unit] <= set(keys)
        shared.append({key: value for key, value in keys.items() if key not in own[unit]})
    assert shared[0] == shared[1] == shared[2] == shared[3]
    assert shared[0]["User"] == ["stripwatch"]
    assert shared[0]["StateDirectory"] == ["stripwatch"]
    assert shared[0]["CapabilityBoundingSet"] == []


def test_enabling_a_service_makes_the_target_start_it_at_boot(tmp_path: Path) -> None:
    """As `systemctl enable` does it in a root folder, which needs no running systemd."""
    systemctl = program("systemctl", "systemd")
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in (*SERVICES, FOLDER / TARGET):
        shutil.copy(unit, folder)
    wanted = ["stripwatch.service", "stripwatch-camera@top.service", "stripwatch-page.service"]
    subprocess.run(
        [systemctl, f"--root={tmp_path}", "enable", *wanted], check=True, capture_output=True
    )
    assert names_in(folder / f"{TARGET}.wants") == set(wanted)
    assert names_in(folder / "multi-user.target.wants") == {TARGET}


def test_the_user_is_made_by_sysusers(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make users, also in a folder")
    tool = program("systemd-sysusers", "systemd")
    (tmp_path / "etc").mkdir()
    file = FOLDER / "stripwatch.sysusers"
    subprocess.run([tool, f"--root={tmp_path}", str(file)], check=True, capture_output=True)
    (line,) = (tmp_path / "etc/passwd").read_text().splitlines()
    name, _, uid, gid, _, home, shell = line.split(":")
    assert (name, home) == (value_of(UNIT, "User"), "/var/lib/stripwatch")
    assert shell.endswith("/nologin")
    assert 0 < int(uid) < 1000
    assert f"{value_of(UNIT, 'Group')}:x:{gid}:" in (tmp_path / "etc/group").read_text()
