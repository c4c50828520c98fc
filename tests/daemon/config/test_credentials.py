"""Files of the configuration, and those that systemd hands over."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.daemon.config.test_forward import mqtt

from stripwatch.config.credentials import absolute_file

ROWS = (
    'endpoint = "mqtt://broker:1883"',
    'username = "line1"',
    'password_file = "credentials/mqtt-password"',
)


def test_a_credential_is_where_systemd_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/unit")
    assert mqtt(tmp_path, *ROWS).password_file == "/run/credentials/unit/mqtt-password"  # noqa: S105
    assert absolute_file("other/x", tmp_path) == tmp_path / "other" / "x"
    assert absolute_file("/credentials/x", tmp_path) == Path("/credentials/x")
    assert absolute_file(".", tmp_path) == tmp_path


def test_without_systemd_the_same_file_is_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the same configuration serves both."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    expected = str(tmp_path / "credentials" / "mqtt-password")
    assert mqtt(tmp_path, *ROWS).password_file == expected
