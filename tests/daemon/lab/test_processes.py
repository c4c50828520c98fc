"""Commands as child processes: stopped at the end, and their log shown where they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.errors import DeviceError, StorageError
from stripwatch.lab.processes import command_process

STOP_S = 20.0


def test_a_process_is_stopped_when_its_block_ends(tmp_path: Path) -> None:
    """Its output is in the log."""
    log = tmp_path / "log"
    with command_process("http.server", ["--help"], STOP_S, log) as helped:
        assert helped.wait(STOP_S) == 0
    assert "usage" in log.read_text()
    arguments = ["--bind", "127.0.0.1", "0"]
    with command_process("http.server", arguments, STOP_S, log) as serving:
        assert serving.poll() is None
    assert serving.poll() is not None


def test_an_error_of_the_block_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """Its type is kept."""
    log = tmp_path / "log"

    def check() -> None:
        with command_process("stripwatch", ["check", "missing.toml"], STOP_S, log) as process:
            process.wait(STOP_S)
            raise StorageError("no engine")

    with pytest.raises(StorageError, match=r"(?s)no engine.*missing\.toml"):
        check()


def test_without_a_log_an_error_is_left_as_it_is() -> None:

    def fail() -> None:
        with command_process("http.server", ["--help"], STOP_S):
            raise DeviceError("failed")

    with pytest.raises(DeviceError, match=r"^failed$"):
        fail()
