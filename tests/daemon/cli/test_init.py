"""`stripwatch init`: a configuration to begin with."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.config.load import load_config
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import ExitCode


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The folder of an engine for frames of 32 x 64."""
    folder = tmp_path / "engine"
    folder.mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="test",
        precision="fp32",
        frame_shape=(32, 64),
        classes=(DefectClass(id=1, name="pits"),),
        fake=FakeBehaviour(),
    )
    save_manifest(folder, manifest)
    return folder


def on_a_terminal(folder: Path, *arguments: str, answers: str) -> tuple[int, str]:
    """Exit code and output of `stripwatch init` where a person answers."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stripwatch", "init", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # Linux's word for the end of a terminal
            break
    os.close(ours)
    return process.wait(30), shown.decode().replace("\r\n", "\n")


def test_without_options_it_is_the_line_of_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is asked where there is no terminal."""
    path = tmp_path / "line.toml"
    assert main(["init", str(path)]) == ExitCode.OK
    assert [camera.name for camera in load_config(path).cameras] == ["top", "bottom"]
    assert "engine-build MODEL.onnx --frame 256x1600 --output" in capsys.readouterr().out


def test_options_say_what_the_line_has(
    tmp_path: Path, engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The frames are the engine's, and a folder is named from where the file is."""
    path = tmp_path / "line.toml"
    cameras = ["--camera", "left", "--camera", "under:bottom"]
    lengths = ["--mm-per-line", "0.25", "--mm-per-pixel", "0.4"]
    assert main(["init", str(path), *cameras, "--engine", str(engine), *lengths]) == ExitCode.OK
    config = load_config(path)
    assert [(camera.name, camera.side, camera.mirrored) for camera in config.cameras] == [
        ("left", "top", False),
        ("under", "bottom", True),
    ]
    assert config.line.frame_shape == (32, 64)
    assert (config.line.mm_per_line, config.line.mm_per_pixel) == (0.25, 0.4)
    assert 'folder = "engine" ' in path.read_text()
    assert "There is no engine yet" not in capsys.readouterr().out


def test_on_a_terminal_it_asks_for_what_no_option_says(tmp_path: Path, engine: Path) -> None:
    """Again where an answer cannot be read; Enter leaves a value as it is."""
    answers = "Left\nleft\nnowhere\n64\n64x128\n\n0.5 mm\n0.3\n"
    code, shown = on_a_terminal(tmp_path, "line.toml", answers=answers)
    assert code == ExitCode.OK, shown
    config = load_config(tmp_path / "line.toml")
    assert [camera.name for camera in config.cameras] == ["left"]
    assert config.engine.folder == str(tmp_path / "nowhere")
    assert config.line.frame_shape == (64, 128)
    assert (config.line.mm_per_line, config.line.mm_per_pixel) == (0.5, 0.3)
    for words in ("'Left': expected 1 to 32", "'64': expected LINES", "'0.5 mm': expected mill"):
        assert words in shown
    code, shown = on_a_terminal(tmp_path, "2.toml", "--engine", str(engine), answers="\n\n\n")
    assert code == ExitCode.OK, shown
    assert "Frames, as" not in shown
    assert load_config(tmp_path / "2.toml").line.frame_shape == (32, 64)


def test_questions_that_are_not_answered_write_nothing(tmp_path: Path) -> None:
    """Ctrl-D ends the input."""
    code, shown = on_a_terminal(tmp_path, "line.toml", answers="top\n\x04")
    assert code == ExitCode.CONFIG
    assert "nothing is written" in shown
    assert not (tmp_path / "line.toml").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--camera", "a", "--camera", "a"], "cameras.name = 'a' is given twice"),
        (["--frame", "99999x1600"], "frame_lines"),
        (["--engine", "engine", "--frame", "64x64"], "is an engine for frames of 32x64"),
    ],
)
def test_what_would_not_work_is_refused_before_it_is_written(
    tmp_path: Path,
    engine: Path,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(engine.parent)
    assert main(["init", "line.toml", *options]) == ExitCode.CONFIG
    assert words in capsys.readouterr().err
    assert not (tmp_path / "line.toml").exists()


@pytest.mark.parametrize(
    "option", [["--camera", "A"], ["--camera", "a:left"], ["--frame", "8"], ["--mm-per-line", "0"]]
)
def test_a_word_that_cannot_be_read_is_a_mistake_of_the_command_line(
    tmp_path: Path, option: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["init", str(tmp_path / "line.toml"), *option])


def test_a_file_that_exists_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "line.toml"
    path.write_text("mine")
    assert main(["init", str(path)]) == ExitCode.CONFIG
    assert path.read_text() == "mine"
    assert f"{path} exists" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "none" / "line.toml")]) == ExitCode.STORAGE
    assert "cannot be written: No such file" in capsys.readouterr().err
