"""The section [security]: what is refused without encryption, and where its files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.config.load import load_config
from stripwatch.config.security import is_exposed
from stripwatch.errors import ConfigError
from stripwatch.resources import resource_path

SHIPPED = resource_path("config.toml").read_text()
FILES = '[security]\nkey_file = "k/daemon.key"\nallow_list = "k/allowed.toml"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "line.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("endpoint", "exposed"),
    [
        ("tcp://127.0.0.1:1", False),
        ("tcp://127.1.2.3:1", False),
        ("tcp://localhost:1", False),
        ("tcp://lo:1", False),
        ("tcp://[::1]:1", False),
        ("ipc:///run/x", False),
        ("ipc://@abstract", False),
        ("tcp://*:1", True),
        ("tcp://0.0.0.0:1", True),
        ("tcp://[::]:1", True),
        ("tcp://192.168.1.7:1", True),
        ("tcp://[fe80::1%eth0]:1", True),
        ("tcp://eth0:1", True),
        ("tcp://line-pc:1", True),
    ],
)
def test_an_endpoint_is_exposed_unless_only_this_computer_reaches_it(
    endpoint: str, exposed: bool
) -> None:
    assert is_exposed(endpoint) is exposed


@pytest.mark.parametrize(
    ("port", "key"),
    [
        ("127.0.0.1:5550", "inputs[0].endpoint"),
        ("127.0.0.1:5551", "publish.endpoint"),
        ("127.0.0.1:5552", "requests.endpoint"),
    ],
)
def test_an_exposed_endpoint_is_refused_and_the_two_commands_are_shown(
    tmp_path: Path, port: str, key: str
) -> None:
    """For each of the daemon's sockets; keys, or a plain yes, make it good."""
    text = SHIPPED.replace(port, port.replace("127.0.0.1", "*"))
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    message = str(caught.value)
    assert f"{key} = 'tcp://*:" in message
    assert "stripwatch keys new" in message
    assert "stripwatch keys grant" in message
    load_config(write(tmp_path, f"{text}\n[security]\nallow_plaintext = true\n"))
    load_config(write(tmp_path, f"{text}\n{FILES}"))


def test_an_address_to_connect_to_is_not_exposed(tmp_path: Path) -> None:
    """Nobody can connect to a socket that does not listen."""
    text = SHIPPED.replace(
        'endpoint = "tcp://127.0.0.1:5550"\n', 'endpoint = "tcp://10.0.0.9:5550"\n'
    ).replace('attach = "bind"          #', 'attach = "connect"          #')
    assert load_config(write(tmp_path, text)).inputs[0].attach == "connect"


def test_the_files_are_beside_the_configuration(tmp_path: Path) -> None:
    security = load_config(write(tmp_path, f"{SHIPPED}\n{FILES}")).security
    assert security.key_file == str(tmp_path / "k/daemon.key")
    assert security.allow_list == str(tmp_path / "k/allowed.toml")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('key_file = "a"', "go together"),
        ('allow_list = "a"', "go together"),
        ('key_file = "a"\nallow_list = "b"\nallow_plaintext = true', "has no use"),
        ('keyfile = "a"', "did you mean key_file"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, f"{SHIPPED}\n[security]\n{section}\n"))
