"""`stripwatch forward`: what it says before it begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.daemon.config.test_load import GOOD, write

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode


def test_a_configuration_without_the_section_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forward", "mqtt", "--config", str(write(tmp_path, GOOD))]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "has no section [forward.mqtt]; add one" in error


def test_a_file_that_cannot_be_used_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no fault of a broker: starting again would not help."""
    section = '[forward.mqtt]\nendpoint = "mqtts://localhost:8883"\nca_file = "none.pem"\n'
    path = write(tmp_path, GOOD + section)
    assert main(["forward", "mqtt", "--config", str(path)]) == ExitCode.CONFIG
    assert f"forward.mqtt.ca_file: {tmp_path}/none.pem cannot be read" in capsys.readouterr().err


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['paho'] = None\n"  # as if not installed
        "from stripwatch.cli.main import main\n"
        f"sys.exit(main(['forward', 'mqtt', '--config', {str(tmp_path / 'line.toml')!r}]))"
    )
    write(tmp_path, GOOD)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.CONFIG
    assert "pip install '.[mqtt]'" in done.stderr
