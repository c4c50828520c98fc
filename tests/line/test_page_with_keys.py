"""The operator's page beside a daemon that looks at keys."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.line.secured import SHAPE, Secured, free_ports, secured_line, wait

from stripwatch.config.page import Page
from stripwatch.config.toml import config_toml
from stripwatch.engines.fake import PAINT
from stripwatch.errors import ExitCode


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Secured]:
    with secured_line(tmp_path) as line:
        yield line


def written_config(line: Secured, folder: Path, key_file: Path | None = None) -> tuple[Path, str]:
    """The daemon's configuration with a page, and the page's address."""
    (port,) = free_ports(1)
    security = line.config.security
    config = msgspec.structs.replace(
        line.config,
        page=Page(endpoint=f"127.0.0.1:{port}", local_role="change"),
        engine=msgspec.structs.replace(line.config.engine, folder="engine"),
        security=msgspec.structs.replace(security, key_file=str(key_file or security.key_file)),
    )
    path = folder / "config.toml"
    path.write_text(config_toml(config))
    return path, f"http://127.0.0.1:{port}/"


@contextmanager
def page(config: Path, *arguments: str) -> Iterator[Path]:
    """The page's process; yields its log."""
    log = config.parent / "page.log"
    command = [sys.executable, "-m", "stripwatch", "page", "--config", str(config), *arguments]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            yield log
        finally:
            process.terminate()


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and answer; 0 where nobody answers."""
    headers = {"Content-Type": "application/json", "Origin": url.partition("/api")[0]}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - of this test
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, None


def test_with_its_key_the_page_sees_status_and_defects_and_writes(
    line: Secured, tmp_path: Path
) -> None:
    line.make("page")
    line.grant("page", rights=("events", "write"))
    config, url = written_config(line, tmp_path)
    with page(config, "--key", str(line.keys / "page.key")), line.camera("top") as camera:
        wait(lambda: bool((ask(f"{url}api/state")[1] or {}).get("status")))
        pixels = np.full(SHAPE, 90, np.uint8)
        pixels[2:6, 4:20] = PAINT + 1
        camera.send("top", "s", 0, pixels, strip="coil-1", line=0)
        wait(lambda: len(ask(f"{url}api/defects")[1]["defects"]) == 1)
        state = ask(f"{url}api/state")[1]
        assert not any(one["what"] == "daemon" for one in state["blind"])
        (defect,) = ask(f"{url}api/defects")[1]["defects"]
        assert defect["strip"] == "coil-1"
        review = {"seq": defect["seq"], "verdict": "right"}
        assert ask(f"{url}api/reviews", review)[0] == 200


def test_a_key_without_rights_is_said_to_be_missing_them(line: Secured, tmp_path: Path) -> None:
    """On the page, where the status is missed; there is no traceback."""
    line.make("page")
    config, url = written_config(line, tmp_path)
    with page(config, "--key", str(line.keys / "page.key")) as log:
        wait(lambda: ask(f"{url}api/state")[0] == 200)
        wait(lambda: bool(ask(f"{url}api/state")[1]["blind"]))
        (blind,) = ask(f"{url}api/state")[1]["blind"]
        assert "grants this page's key the events" in blind["message"]
        with line.camera("top") as camera:
            line.send_until_inspected(camera, "s")
        assert ask(f"{url}api/state")[1]["status"] is None
    assert "Traceback" not in log.read_text()


def test_without_any_key_the_page_does_not_start_and_says_why(
    line: Secured, tmp_path: Path
) -> None:
    """As on another computer, where the daemon's own key is not."""
    config, url = written_config(line, tmp_path, tmp_path / "nowhere.key")
    command = [sys.executable, "-m", "stripwatch", "page", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == ExitCode.CONFIG
    assert "--key" in done.stderr
    assert "nowhere.key" in done.stderr
    assert "Traceback" not in done.stderr
    assert ask(f"{url}api/state")[0] == 0
