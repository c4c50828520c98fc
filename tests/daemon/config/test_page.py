"""`[page]`: where it is served, and what a page that others reach must have."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.daemon.journal.strip_journal import CONFIG

from stripwatch.config.load import load_config
from stripwatch.config.page import Page
from stripwatch.config.toml import config_toml
from stripwatch.errors import ConfigError


def load(folder: Path, text: str) -> Page:
    path = folder / "config.toml"
    path.write_text(f"{CONFIG}[page]\n{text}")
    config = load_config(path)
    path.write_text(config_toml(config))
    assert load_config(path) == config
    return config.page


def test_by_default_this_computer_alone_may_look(tmp_path: Path) -> None:
    page = load(tmp_path, "")
    assert (page.address, page.is_local, page.local_role) == (("127.0.0.1", 8350), True, "look")
    assert page.url == "http://127.0.0.1:8350/"


def test_files_start_at_the_configuration(tmp_path: Path) -> None:
    page = load(tmp_path, 'endpoint = "[::]:443"\nusers_file = "u.json"\ncert_file = "c.pem"\n')
    assert (page.users_file, page.cert_file) == (str(tmp_path / "u.json"), str(tmp_path / "c.pem"))
    assert (page.address, page.url) == (("::", 443), "https://[::1]:443/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('endpoint = "0.0.0.0:8350"', "can be reached from other computers"),
        ('endpoint = "line1.plant:8350"', "can be reached from other computers"),
        ('endpoint = "127.0.0.1"', "HOST:PORT"),
        ('endpoint = "127.0.0.1:0"', "HOST:PORT"),
        ('local_role = "admin"', "local_role"),
        ('key_file = "page.key"', "needs page.cert_file"),
        ('proxy_addresses = ["proxy"]', "expected an IP address"),
        ('proxy_user_header = "X User"', "name of an HTTP header"),
        ("port = 1", "port"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, text + "\n")


@pytest.mark.parametrize("more", ['users_file = "u"', 'proxy_addresses = ["10.0.0.1"]'])
def test_others_may_reach_it_with_users_or_a_proxy(tmp_path: Path, more: str) -> None:
    assert not load(tmp_path, f'endpoint = "0.0.0.0:8350"\n{more}\n').is_local
