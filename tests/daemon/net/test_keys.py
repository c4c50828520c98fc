"""Key files: who may read them, and what a mistake says."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stripwatch.errors import ConfigError
from stripwatch.net.curve import client_curve
from stripwatch.net.keys import make_key, read_public_key, read_secret_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "top.key"
    make_key(path, "top", "d" * 40)
    return path


def test_a_key_is_a_secret_file_and_a_public_one(key: Path) -> None:
    secret, public = read_secret_key(key), read_public_key(key.with_suffix(".pub"))
    assert (secret.name, secret.public_key) == (public.name, public.public_key)
    assert secret.daemon_key == "d" * 40
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert secret.secret_key not in key.with_suffix(".pub").read_text()


def test_a_secret_never_shows_in_a_log_or_traceback(key: Path) -> None:
    secret = read_secret_key(key)
    for shown in (repr(secret), str(secret), repr(client_curve(key)), f"{[secret]}"):
        assert secret.secret_key not in shown
        assert secret.public_key in shown


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(key: Path, mode: int) -> None:
    key.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {key}"):
        read_secret_key(key)
    key.chmod(0o640)  # of a service's group, or systemd's credentials
    read_secret_key(key)


def test_a_key_is_never_replaced(key: Path) -> None:
    before = key.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        make_key(key, "top")
    key.unlink()
    with pytest.raises(ConfigError, match=r"top\.pub exists"):
        make_key(key, "top")
    assert before
    assert not key.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("secret_key = ", "secret = ", "not what a secret key holds"),
        ('secret_key = "', 'secret_key = "short', "secret_key is not what"),
        ('public_key = "', 'public_key = "d" #', "public_key is not what"),
        ('name = "top"', "name = 3", "name is not what"),
        ('name = "top"', 'name = "', "is not TOML"),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(
    key: Path, old: str, new: str, words: str
) -> None:
    secret = read_secret_key(key).secret_key
    key.write_text(key.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=words) as caught:
        read_secret_key(key)
    assert secret not in str(caught.value)


def test_halves_that_do_not_belong_together_are_refused(tmp_path: Path, key: Path) -> None:
    other = tmp_path / "other.key"
    make_key(other, "other")
    text = key.read_text().replace(
        read_secret_key(key).public_key, read_secret_key(other).public_key
    )
    key.write_text(text)
    with pytest.raises(ConfigError, match="does not belong"):
        read_secret_key(key)


def test_a_clients_key_must_know_its_daemon(tmp_path: Path) -> None:
    path = tmp_path / "lone.key"
    make_key(path, "lone")
    with pytest.raises(ConfigError, match="lacks daemon_key"):
        client_curve(path)
    with pytest.raises(ConfigError, match=f"stripwatch keys new {tmp_path}/none.key"):
        client_curve(tmp_path / "none.key")


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--name"):
        make_key(tmp_path / "Top.key", "Top")
    with pytest.raises(ConfigError, match=r"for example x\.key"):
        make_key(tmp_path / "x.pub", "x")
