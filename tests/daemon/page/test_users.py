"""The file of users, and the commands that change it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.daemon.journal.strip_journal import CONFIG

from stripwatch.cli.main import main
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.page.users import is_password_of, load_users, make_user, save_users


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + '[page]\nusers_file = "users.json"\n')
    return path


def test_the_commands_add_list_and_remove(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The password comes from a pipe; the file keeps its hash alone, for nobody else to read."""
    users = config.parent / "users.json"
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
    add = ["page", "user", "add", "Eva Müller", "--role", "review", "--config", str(config)]
    assert main(add) == ExitCode.OK
    assert users.stat().st_mode & 0o077 == 0
    assert "a long password" not in users.read_text()
    eva = load_users(users)["Eva Müller"]
    assert is_password_of(eva, "a long password")
    assert not is_password_of(eva, "another password")
    assert not is_password_of(None, "a long password")
    assert main(["page", "user", "list", "--config", str(config)]) == ExitCode.OK
    assert "Eva Müller" in capsys.readouterr().out
    remove = ["page", "user", "remove", "Eva Müller", "--config", str(config)]
    assert main(remove) == ExitCode.OK
    assert load_users(users) == {}
    assert main(remove) == ExitCode.CONFIG
    assert "no user" in capsys.readouterr().err


def test_what_is_missing_is_said(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configuration, the name of the file, the file itself."""
    plain = tmp_path / "plain.toml"
    plain.write_text(CONFIG)
    for arguments, words in (
        (["page"], "--config CONFIG.TOML"),
        (["page", "user", "list", "--config", str(plain)], "users_file"),
        (["page", "user", "list", "--config", str(config)], "stripwatch page user add"),
        (["page", "--config", str(config)], "stripwatch page user add"),
    ):
        assert main(arguments) == ExitCode.CONFIG
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(("name", "password"), [("eva", "short"), ("", "x" * 9), ("a\nb", "x" * 9)])
def test_names_and_passwords_have_limits(name: str, password: str) -> None:
    with pytest.raises(ConfigError):
        make_user(name, "look", password)


@pytest.mark.parametrize("text", ["", "[]", '{"users":[{"name":"eva","role":"root"}]}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a file of users"):
        load_users(path)
    with pytest.raises(StorageError, match="cannot be written"):
        save_users(tmp_path / "nowhere" / "users.json", {})
