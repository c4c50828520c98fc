"""`stripwatch reload`: it finds the daemon, says what changes, and waits for the result."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from stripwatch.engines.manifest import FakeBehaviour, sha256_files
from stripwatch.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.line.conftest import Daemon

OVERRIDE = '[[inspect.classes]]\nname = "kind1"\nmin_area_px = 41\n'


def reload(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stripwatch", "reload", str(config), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_tells_the_daemon_and_says_what_changed(daemon: Daemon) -> None:
    """A dry run says the same and changes nothing; afterwards nothing is left to change."""
    process = daemon.start()
    daemon.wait_for("READY=1")
    daemon.make_engine(FakeBehaviour(), engine_hash="1" * 64)
    daemon.config.write_text(daemon.config.read_text() + OVERRIDE)
    changes = (
        f"process {process.pid}: 2 changes to take over\n"
        f"  engine {'0' * 16} -> {'1' * 16}\n  kind1.min_area_px 0 -> 41\n"
    )
    done = reload(daemon.config, "--dry-run")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout == changes + "nothing was changed (--dry-run)\n"
    assert "reloaded" not in daemon.log.read_text()
    done = reload(daemon.config)
    assert (done.returncode, done.stdout) == (ExitCode.OK, changes + "reloaded\n"), done.stderr
    assert '"event": "reloaded"' in daemon.log.read_text()
    assert "no changes" in reload(daemon.config, "--dry-run").stdout
    assert daemon.stop() == 0


def test_changes_that_need_a_restart_are_named_in_the_exit_code(daemon: Daemon) -> None:
    """They are still there after the reload, and a restart ends them."""
    daemon.start()
    daemon.wait_for("READY=1")
    text = daemon.config.read_text().replace("queue_events = 20", "queue_events = 21")
    daemon.config.write_text(text)
    for options in ((), ("--dry-run",)):
        done = reload(daemon.config, "--json", *options)
        assert done.returncode == ExitCode.DIFFERENT, done.stderr
        said = json.loads(done.stdout)
        assert said["reloaded"] is not bool(options)
        assert said["changes"] == []
        wanted = {"key": "publish.queue_events", "old": "20", "new": "21"}
        assert said["need_restart"] == [wanted]
    assert daemon.stop() == 0


def test_what_cannot_be_used_never_reaches_the_daemon(daemon: Daemon) -> None:
    """The sentence of the check, its exit code, and no signal."""
    daemon.start()
    daemon.wait_for("READY=1")
    daemon.config.write_text(daemon.config.read_text() + OVERRIDE.replace("kind1", "kind9"))
    done = reload(daemon.config)
    assert done.returncode == ExitCode.CONFIG
    assert "'kind9': the engine has no such class" in done.stderr
    assert "reload" not in daemon.log.read_text()
    assert daemon.stop() == 0


def test_an_engine_that_does_not_load_is_told_of(daemon: Daemon) -> None:
    """Only the daemon can find that out; its reason is printed."""
    daemon.start()
    daemon.wait_for("READY=1")
    (daemon.folder / "engine" / "engine.xml").write_text("no engine")
    daemon.make_engine(
        FakeBehaviour(),
        target="openvino",
        fake=None,
        files=("engine.xml",),
        engine_hash=sha256_files(daemon.folder / "engine" / "engine.xml"),
    )
    done = reload(daemon.config)
    assert done.returncode == ExitCode.MODEL, done
    assert "not reloaded; the running engine and settings stay" in done.stderr
    assert "engine.xml" in done.stderr
    assert daemon.stop() == 0


def test_without_a_daemon_it_says_how_to_start_one(daemon: Daemon) -> None:
    """Also while a daemon runs with another configuration."""
    daemon.start()
    daemon.wait_for("READY=1")
    other = daemon.folder / "other.toml"
    other.write_text(daemon.config.read_text())
    done = reload(other)
    assert done.returncode == ExitCode.ADDRESS
    assert f"no daemon that you may see runs with {other}" in done.stderr
    assert daemon.stop() == 0
    assert reload(daemon.config).returncode == ExitCode.ADDRESS
