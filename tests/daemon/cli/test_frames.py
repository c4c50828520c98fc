"""`stripwatch frames`: a recording's frames as image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.frame import FrameHeader

SHAPE = (8, 32)


def pixels(seq: int) -> np.ndarray:
    return np.random.default_rng(seq).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six frames of each of two cameras, of the strips C1 and C2; `side` sends PNG files."""
    path = tmp_path / "coil.mcap"
    writer = RecordingWriter(path)
    for seq in range(6):
        for camera in ("top", "side"):
            header = FrameHeader(
                v=1,
                camera=camera,
                session="s",
                seq=seq,
                t_ns=10**18 + seq,
                shape=SHAPE,
                dtype="u8",
                codec="png" if camera == "side" else "raw",
                strip="C1" if seq < 4 else "C2",
            )
            file = cv2.imencode(".png", pixels(seq))[1].tobytes()
            if camera == "side" and seq == 5:
                file = file[:40]
            writer.add(header, file if camera == "side" else pixels(seq).tobytes())
    writer.close()
    return path


def run(*arguments: object) -> int:
    return main(["frames", *map(str, arguments)])


def test_each_frame_is_a_file_with_its_pixels_and_a_damaged_one_is_named(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    assert run(recording, "--output", folder) == ExitCode.OK
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        *(f"side-s-{seq:08d}.png" for seq in range(5)),
        *(f"top-s-{seq:08d}.png" for seq in range(6)),
    ]
    for name in names:
        image = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert np.array_equal(image, pixels(int(Path(name).stem[-8:]))), name
    said = capsys.readouterr()
    assert said.out == f"{folder}: 11 frames\n"
    assert "left out side-s-00000005.png: " in said.err


def test_camera_strip_and_every_choose_frames(recording: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    chosen = ("--camera", "top", "--strip", "C1", "--every", 3)
    assert run(recording, "--output", folder, *chosen) == ExitCode.OK
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["top-s-00000000.png", "top-s-00000003.png"]


def test_the_synthetic_strip_becomes_images_that_can_be_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    assert run("synthetic", "--output", folder, "--every", 50) == ExitCode.OK
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["synthetic-0-00000000.png", "synthetic-0-00000050.png"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--strip", "C9"), "has no frame of strip 'C9'"),
        (("--camera", "left"), "holds no frames of camera 'left'"),
        (("--every", "0"), "--every 0: give at least 1"),
    ],
)
def test_options_that_choose_nothing_are_refused(
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    assert run(recording, "--output", tmp_path / "frames", *options) == ExitCode.CONFIG
    assert said in capsys.readouterr().err


def test_a_folder_that_holds_files_or_cannot_be_made_is_refused(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recording, "--output", tmp_path) == ExitCode.CONFIG
    assert "is not empty; give a new folder" in capsys.readouterr().err
    assert run(recording, "--output", recording / "frames") == ExitCode.STORAGE
    assert "cannot be written" in capsys.readouterr().err
    assert run("synthetic", "--strip", "C1", "--output", tmp_path / "new") == ExitCode.CONFIG
    assert "--strip is for recordings" in capsys.readouterr().err
