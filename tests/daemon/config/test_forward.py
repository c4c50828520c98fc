"""The section [forward.mqtt]: what it may say, and what it means."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.daemon.config.test_load import GOOD, write

from stripwatch.config.forward import MqttSection
from stripwatch.config.load import load_config
from stripwatch.config.toml import config_toml
from stripwatch.errors import ConfigError


def mqtt(folder: Path, *rows: str) -> MqttSection:
    text = "\n".join((GOOD, "[forward.mqtt]", *rows))
    section = load_config(write(folder, text)).forward.mqtt
    assert section is not None
    return section


def test_files_start_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    section = mqtt(
        tmp_path,
        'endpoint = "mqtts://[::1]:8883"',
        'username = "line1"',
        'password_file = "secrets/password"',
        'ca_file = "/etc/ssl/plant.pem"',
    )
    assert section.address == ("::1", 8883)
    assert section.has_tls
    assert section.password_file == str(tmp_path / "secrets" / "password")
    assert section.ca_file == "/etc/ssl/plant.pem"
    assert section.cert_file is None


def test_a_section_is_written_and_read_again(tmp_path: Path) -> None:
    text = GOOD + '[forward.mqtt]\nendpoint = "mqtt://broker:1883"\nprefix = "steel/line1"\n'
    config = load_config(write(tmp_path, text))
    assert load_config(write(tmp_path, config_toml(config))) == config


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('endpoint = "tcp://broker:1883"', ["forward.mqtt.endpoint", "mqtt://HOST:PORT"]),
        ('endpoint = "mqtt://broker"', ["forward.mqtt.endpoint", "mqtts://HOST:PORT"]),
        ('prefix = "steel/#"', ["forward.mqtt.prefix", "steel/#", "without + # $ and spaces"]),
        ('prefix = "/steel"', ["forward.mqtt.prefix", "words with / between them"]),
        ('prefix = "$SYS"', ["forward.mqtt.prefix"]),
        ("window = 0", ["forward.mqtt.window", "0", ">= 1"]),
        ('topic = "a"', ["[forward.mqtt]", "no key topic", "allowed:"]),
        ('password_file = "p"', ["password_file", "needs forward.mqtt.username"]),
        ('key_file = "k"', ["key_file", "needs forward.mqtt.cert_file"]),
        ('ca_file = "c"', ["forward.mqtt.endpoint", "mqtts://", "leave ca_file"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, row: str, words: list[str]) -> None:
    rows = [row] if row.startswith("endpoint") else ['endpoint = "mqtt://broker:1883"', row]
    with pytest.raises(ConfigError) as caught:
        mqtt(tmp_path, *rows)
    for word in words:
        assert word in str(caught.value)
