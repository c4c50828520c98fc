"""The demo with the operator's page, as a user starts and ends it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stripwatch.errors import ExitCode

START_S_MAX = 120.0  # with the engine's build


def ask(url: str) -> Any:
    """An answer; None: nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of this test
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError):
        return None


@pytest.mark.slow
def test_the_demos_page_answers_until_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """The page shows the strip that runs; afterwards nobody answers, and the exit code is 0."""
    command = [sys.executable, "-m", "stripwatch", "demo", "--page", "--output", str(tmp_path)]
    log = tmp_path.parent / f"{tmp_path.name}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--rate", "5"], stdout=output, stderr=subprocess.STDOUT
        ) as demo,
    ):
        try:
            until_s = time.monotonic() + START_S_MAX
            url = ""
            strips: list[Any] = []
            while not strips:
                assert time.monotonic() < until_s, log.read_text()
                assert demo.poll() is None, log.read_text()
                time.sleep(0.1)
                found = re.search(r"open (http://\S+) in a browser", log.read_text())
                url = found[1] if found else ""
                strips = (ask(f"{url}api/strips") or {"strips": []})["strips"] if url else []
            assert strips[0]["strip"] == "demo-1"
            assert ask(f"{url}api/me")["role"] == "change"
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == ExitCode.OK, log.read_text()
        finally:
            demo.terminate()
    assert ask(f"{url}api/me") is None
    for name in ("daemon", "page"):
        assert "stopped" in (tmp_path / f"{name}.log").read_text()
    assert not [path for path in Path("/proc").glob("[0-9]*") if is_of(path, tmp_path)]


def is_of(process: Path, folder: Path) -> bool:
    """Whether a process was started with a file of this folder."""
    try:
        return str(folder) in (process / "cmdline").read_text()
    except OSError:
        return False
