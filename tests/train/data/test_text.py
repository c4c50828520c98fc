"""Text files: marks in front of them are no part of the text, other encodings are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.cli.main import main
from stripwatch_train.data.text import read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_are_no_part_of_the_text(tmp_path: Path, encoding: str) -> None:
    """Notepad and PowerShell write them."""
    path = tmp_path / "a.txt"
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    path.write_bytes((mark + "größe\n").encode(encoding))
    assert read_text(path) == "größe\n"


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"a\.txt: cannot be read: byte 2 is not UTF-8; save the"):
        read_text(path)


def test_a_folder_whose_name_is_not_utf_8_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the data and as the output."""
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/Ri\xdf")
    assert main(["synthesize", "--frames", "1", "--output", bad]) == ExitCode.CONFIG
    assert "its name is not UTF-8" in capsys.readouterr().err
    assert not Path(bad).exists()
    Path(bad).mkdir()
    for command in ("convert", "explore", "folds"):
        assert main([command, bad, "--output", str(tmp_path / "out")]) == ExitCode.CONFIG
        assert "its name is not UTF-8" in capsys.readouterr().err
