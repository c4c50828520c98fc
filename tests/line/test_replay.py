"""`stripwatch replay` as a process: runs compared, and errors in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.client.event_file import load_events
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import ExitCode
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.event import Defect, Gap
from stripwatch.wire.frame import FrameHeader

SHAPE = (32, 64)
CONFIG = """
[line]
frame_lines = 32
frame_pixels = 64
mm_per_line = 1.0
mm_per_pixel = 1.0
[[cameras]]
name = "top"
[[inputs]]
endpoint = "ipc://{folder}/in"
[engine]
folder = "engine"
[publish]
endpoint = "ipc://{folder}/out"
"""


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A folder with a configuration, a fake engine and six images, four with one defect."""
    engine = tmp_path / "engine"
    engine.mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="test",
        precision="fp32",
        frame_shape=SHAPE,
        classes=tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4)),
        fake=FakeBehaviour(),
    )
    save_manifest(engine, manifest)
    (tmp_path / "config.toml").write_text(CONFIG.format(folder=tmp_path))
    images = tmp_path / "images"
    images.mkdir()
    for index in range(6):
        pixels = np.zeros(SHAPE, np.uint8)
        if index < 4:
            pixels[5:9, 10 + index : 20] = 252 + index
        cv2.imwrite(str(images / f"{index}.png"), pixels)
    return tmp_path


def replay(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stripwatch", "replay"]
    return subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.slow
def test_a_line_compared_with_itself_has_no_differences(line: Path) -> None:
    """After a change every different event is printed, and the exit code is its own."""
    common = ("images", "--config", "config.toml")
    done = replay(line, *common, "--write-events", "good.jsonl")
    assert done.returncode == ExitCode.OK, done.stderr
    events = [json.loads(row) for row in (line / "good.jsonl").read_text().splitlines()]
    assert [event["type"] for event in events] == [
        "strip_start",
        *["defect"] * 4,
        "strip_end",
    ]
    done = replay(line, *common, "--expect", "good.jsonl")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "no differences" in done.stdout

    changed = cv2.imread(str(line / "images" / "1.png"), cv2.IMREAD_GRAYSCALE)
    assert changed is not None
    changed[7, 12] = 0  # a hole: another mask in the same box
    cv2.imwrite(str(line / "images" / "1.png"), changed)
    cv2.imwrite(str(line / "images" / "2.png"), np.zeros(SHAPE, np.uint8))
    cv2.imwrite(str(line / "images" / "5.png"), np.full(SHAPE, 255, np.uint8))
    done = replay(line, *common, "--expect", "good.jsonl")
    assert done.returncode == ExitCode.DIFFERENT
    printed = [
        row.split()[0] for row in done.stdout.splitlines() if row.startswith(("m", "n", "c"))
    ]
    # Of frame 5 a defect, and with what it touches in the next a whole one; of the strip its end.
    assert sorted(printed) == ["changed", "changed", "missing", "new", "new"]
    assert "area_px 36 -> 35" in done.stdout


@pytest.mark.slow
def test_a_recording_that_ends_with_late_frames_is_run_to_its_end(line: Path) -> None:
    """The daemon drops them as late, as in the recorded run; the replay does not wait for them."""
    writer = RecordingWriter(line / "late.mcap")
    for session, seq in (("a", 0), ("a", 1), ("a", 3), ("a", 2), ("b", 0), ("b", 0), ("a", 4)):
        header = FrameHeader(
            v=1,
            camera="top",
            session=session,
            seq=seq,
            t_ns=seq,
            shape=SHAPE,
            dtype="u8",
            codec="raw",
        )
        writer.add(header, bytes(SHAPE[0] * SHAPE[1]))
    writer.close()
    run = replay(line, "late.mcap", "--config", "config.toml", "--write-events", "late.jsonl")
    assert run.returncode == ExitCode.OK, run.stderr
    (gap,) = load_events(line / "late.jsonl")
    assert isinstance(gap, Gap)
    assert (gap.first_frame_seq, gap.cause) == (2, "lost")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--config", "config.toml"), "does not exist"),
        (("images", "--config", "config.toml", "--camera", "side"), "side"),
        (("images", "--config", "config.toml", "--expect", "no.jsonl"), "no.jsonl"),
        (("images", "--config", "config.toml", "--expect", "config.toml"), "line 2"),
        (("images", "--config", "config.toml", "--expect", "g.jsonl", "--loop"), "--loop"),
        (("images", "--endpoint", "tcp://127.0.0.1:1", "--camera", "Top"), "a-z 0-9"),
        (("images", "--config", "config.toml", "--recorded-pace"), "--rate"),
        (("images", "--config", "config.toml", "--keep-headers"), ".mcap"),
    ],
)
def test_a_mistake_is_one_sentence(line: Path, arguments: tuple[str, ...], words: str) -> None:
    done = replay(line, *arguments)
    assert done.returncode in (ExitCode.CONFIG, ExitCode.STORAGE)
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", [(), ("--config", "config.toml", "--endpoint", "ipc://in")])
def test_one_address_must_be_given(line: Path, address: tuple[str, ...]) -> None:
    """Neither and both are refused as a wrong command line, which names both options."""
    done = replay(line, "images", *address)
    assert done.returncode == ExitCode.USAGE
    assert "--config" in done.stderr
    assert "--endpoint" in done.stderr


def test_an_engine_that_is_missing_keeps_its_exit_code(line: Path) -> None:
    (line / "engine" / "manifest.json").unlink()
    done = replay(line, "images", "--config", "config.toml", "--write-events", "e.jsonl")
    assert done.returncode == ExitCode.MODEL
    assert "engine-build" in done.stderr


def test_tiles_of_a_large_image_are_inspected(line: Path) -> None:
    """A defect of the lower right tile has the number and the place of that tile."""
    pixels = np.zeros((40, 100), np.uint8)
    pixels[33:35, 70:90] = 254  # the fourth of four tiles
    cv2.imwrite(str(line / "large.png"), pixels)
    refused = replay(line, "large.png", "--config", "config.toml", "--write-events", "e.jsonl")
    assert refused.returncode == ExitCode.CONFIG
    assert "--fit tile" in refused.stderr
    given = ("large.png", "--config", "config.toml", "--fit", "tile", "--write-events", "e.jsonl")
    done = replay(line, *given)
    assert done.returncode == ExitCode.OK, done.stderr
    (defect,) = [event for event in load_events(line / "e.jsonl") if isinstance(event, Defect)]
    assert (defect.frame_seq, defect.bbox_px) == (3, (6, 1, 20, 2))
    assert defect.frame_shape == (8, 64)
    unknown = replay(line, "large.png", "--endpoint", "ipc://nowhere", "--fit", "tile")
    assert "--fit needs --config" in unknown.stderr
