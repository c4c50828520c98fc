"""`stripwatch camera` as a user types it, with a fake camera on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from tests.daemon.camera.fakes import fake_camera
from tests.line.cameras import need_aravis

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode

CONFIG = """
[line]
frame_lines = 64
frame_pixels = 256
mm_per_line = 1.0
mm_per_pixel = 1.0
[[cameras]]
name = "top"
[cameras.source]
kind = "aravis"
id = "{address}"
packet_bytes = 1400
lines_lost_chunk = "ChunkLinesSkipped"
[[cameras]]
name = "list"
[[inputs]]
endpoint = "ipc://in"
[engine]
folder = "engine"
[publish]
endpoint = "ipc://out"
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    need_aravis()
    path = tmp_path / "config.toml"
    with fake_camera(serial="SW-CLI") as fake:
        path.write_text(CONFIG.format(address=fake.options.address))
        yield str(path)


def test_list_names_what_goes_into_the_configuration(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert config
    assert main(["camera", "list"]) == ExitCode.OK
    assert "stripwatch-LineScan-SW-CLI" in capsys.readouterr().out


def test_show_lists_features_with_ranges(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", "show", "top", "--config", config]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "stripwatch LineScan, serial SW-CLI" in out
    (row,) = [row for row in out.splitlines() if "ExposureTime" in row]
    assert "2 to 10000" in row
    assert main(["camera", "show", "top", "--config", config, "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["camera"]["make"] == "stripwatch"
    assert {"name": "Width", "value": 1600}.items() <= next(
        feature for feature in shown["features"] if feature["name"] == "Width"
    ).items()


def test_test_prints_a_table_and_draws_a_picture(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "seen.png"
    arguments = ["--config", config, "--seconds", "0.5", "--png", str(picture)]
    assert main(["camera", "test", "top", *arguments]) == ExitCode.OK
    out = capsys.readouterr().out
    for word in ("lost frames", "interval", "p50", "profile", f"picture: {picture}"):
        assert word in out
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (900, 1200, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["camera", "nobody"], "has no camera 'nobody'; it has: top, list"),
        (["camera", "run", "list"], "camera 'list' has no source; add one"),
        (["camera", "test", "top", "--seconds", "0"], "--seconds 0: give 0.1 to 3600"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main([*arguments, "--config", config]) == ExitCode.CONFIG
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--motion", "fast"], "--motion 'fast': give lines per second"),
        (["--lose", "2000"], "--lose 2000: give packets in a thousand"),
        (["--first-frame-id", "0"], "give 1 to 65535"),
        (["--serial", "x" * 16], "1 to 15 ASCII characters"),
        (["--heartbeat-ms", "1"], "give 100 to 60000"),
    ],
)
def test_a_fake_camera_that_cannot_be_is_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["camera", "fake", *arguments]) == ExitCode.CONFIG
    assert words in capsys.readouterr().err
