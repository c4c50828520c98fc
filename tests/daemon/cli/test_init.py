"""`stripwatch init`: a configuration to begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.config.load import load_config
from stripwatch.errors import ExitCode


def test_the_file_is_a_good_configuration(tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    assert main(["init", str(path)]) == ExitCode.OK
    assert load_config(path).cameras


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
