"""stripwatch keys: the allow-list as a user makes and changes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.net.allow_list import read_allow_list
from stripwatch.resources import resource_path

SHIPPED = resource_path("config.toml").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, the daemon's key and a client's."""
    monkeypatch.chdir(tmp_path)
    section = '[security]\nkey_file = "keys/daemon.key"\nallow_list = "keys/allowed.toml"\n'
    (tmp_path / "config.toml").write_text(f"{SHIPPED}\n{section}")
    assert main(["keys", "new", "keys/daemon.key"]) == ExitCode.OK
    assert main(["keys", "new", "keys/gate.key", "--daemon", "keys/daemon.pub"]) == ExitCode.OK
    return tmp_path


def keys(*arguments: str) -> int:
    return main(["keys", *arguments])


def test_rights_are_granted_shown_and_revoked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("--config", "config.toml")
    assert keys("grant", "keys/gate.pub", *config, "--send", "top", "--events") == ExitCode.OK
    assert "gate may send frames of top; subscribe to events" in capsys.readouterr().out
    assert keys("grant", "keys/gate.pub", *config, "--write") == ExitCode.OK
    (grant,) = read_allow_list(folder / "keys/allowed.toml").keys
    assert (grant.name, grant.send, grant.may) == ("gate", (), ("write",))
    assert grant.has("requests")
    assert not grant.has("events")
    assert keys("revoke", "gate", *config) == ExitCode.OK
    (grant,) = read_allow_list(folder / "keys/allowed.toml").keys
    assert grant.revoked is not None
    assert not grant.has("write")
    capsys.readouterr()
    assert keys("list", *config) == ExitCode.OK
    assert "gate" in capsys.readouterr().out
    assert keys("list", *config, "--json") == ExitCode.OK
    (shown,) = json.loads(capsys.readouterr().out)["keys"]
    assert (shown["name"], shown["public_key"]) == ("gate", grant.public_key)
    # Granted again, it is good again.
    assert keys("grant", "keys/gate.pub", *config, "--events") == ExitCode.OK
    (grant,) = read_allow_list(folder / "keys/allowed.toml").keys
    assert grant.has("events")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("grant", "keys/gate.pub"), "at least one right"),
        (("grant", "keys/gate.pub", "--send", "side"), "has the cameras top, bottom"),
        (("grant", "keys/gate.pub", "--send", "Top"), "a-z 0-9"),
        (("grant", "keys/gate.key", "--events"), "is a secret key"),
        (("grant", "keys/none.pub", "--events"), "No such file"),
        (("revoke", "press"), "no key has the name press; there are: gate"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistake_is_explained(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("--config", "config.toml")
    assert keys("grant", "keys/gate.pub", *config, "--events") == ExitCode.OK
    assert keys(*arguments, *config) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert words in error


@pytest.mark.usefixtures("folder")
def test_one_name_and_one_key_stand_there_once(capsys: pytest.CaptureFixture[str]) -> None:
    listed = ("--allow-list", "keys/allowed.toml", "--events")
    assert keys("grant", "keys/gate.pub", *listed) == ExitCode.OK
    assert keys("grant", "keys/gate.pub", *listed, "--name", "press") == ExitCode.CONFIG
    assert "granted already, under the name gate" in capsys.readouterr().err
    assert keys("new", "other/gate.key") == ExitCode.OK
    assert keys("grant", "other/gate.pub", *listed) == ExitCode.CONFIG
    assert "another key has the name gate" in capsys.readouterr().err


def test_a_list_that_anybody_can_change_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = ("--allow-list", "keys/allowed.toml")
    assert keys("grant", "keys/gate.pub", *listed, "--events") == ExitCode.OK
    (folder / "keys/allowed.toml").chmod(0o666)
    assert keys("list", *listed) == ExitCode.CONFIG
    assert "chmod o-w" in capsys.readouterr().err
