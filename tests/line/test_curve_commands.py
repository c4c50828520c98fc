"""The commands of a user with keys, against a daemon that other computers could reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE
from tests.line.secured import free_ports

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

Capture = pytest.CaptureFixture[str]
SECURITY = '\n[security]\nkey_file = "keys/daemon.key"\nallow_list = "keys/allowed.toml"\n'


@pytest.fixture
def done(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Callable[..., str]:
    """Runs a command that must succeed, in the daemon's folder; its output."""
    monkeypatch.chdir(daemon.folder)

    def run(*arguments: str) -> str:
        capsys.readouterr()
        code = main([*arguments])
        shown = capsys.readouterr()
        assert code == ExitCode.OK, (arguments, shown.err)
        return shown.out

    return run


def test_a_line_is_secured_with_the_commands_that_the_refusal_shows(
    daemon: Daemon, done: Callable[..., str], capsys: Capture
) -> None:
    """Off loopback nothing starts without keys; then only their owners send and read."""
    folder = daemon.folder
    text = daemon.config.read_text()
    frames, events, requests = free_ports(3)
    for name, port in (("in", frames), ("out", events), ("requests", requests)):
        text = text.replace(f"ipc://{folder}/{name}", f"tcp://*:{port}")
    daemon.config.write_text(text)
    assert main(["check", "config.toml"]) == ExitCode.CONFIG
    assert daemon.start().wait(30) == ExitCode.CONFIG
    for refused in (capsys.readouterr().err, daemon.log.read_text()):
        for words in ("inputs[0].endpoint", "requests.endpoint", "keys new", "keys grant"):
            assert words in refused
    daemon.config.write_text(text + SECURITY)
    done("keys", "new", "keys/daemon.key")
    for name, rights in (("camera", ("--send", "top")), ("gate", ("--events", "--requests"))):
        done("keys", "new", f"{name}.key", "--daemon", "keys/daemon.pub")
        done("keys", "grant", f"{name}.pub", "--config", "config.toml", *rights)
    assert "CURVE; keys that are let in: camera, gate" in done("check", "config.toml")
    daemon.start()
    daemon.wait_for("READY=1")
    (folder / "frames").mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / f"frames/{number}.png"), np.full(DAEMON_SHAPE, 90, np.uint8))
    to = ("--endpoint", f"tcp://127.0.0.1:{frames}", "--pattern", "push")
    done("replay", "frames", *to, "--key", "camera.key")
    done("replay", "frames", "--config", "config.toml", "--strip", "own")
    shown = done(
        *("events", "--endpoint", f"tcp://127.0.0.1:{events}", "--key", "gate.key", "--json"),
        *("--requests", f"tcp://127.0.0.1:{requests}", "--since", "0", "--count", "4"),
    )
    strips = [json.loads(line).get("strip") for line in shown.splitlines()]
    assert strips == ["frames", "frames", "own", "own"]
    none = main(["events", "--config", "config.toml", "--key", "keys/none.key"])
    assert none == ExitCode.CONFIG
    assert daemon.stop() == ExitCode.OK
