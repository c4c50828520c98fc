"""The sections of config.toml under [forward]; the daemon itself does not read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from stripwatch.config.credentials import FilePath, with_absolute_files
from stripwatch.config.errors import MQTT_ENDPOINT_PATTERN, MQTT_TOPIC_PATTERN

Text = Annotated[str, Meta(min_length=1, max_length=200)]

_FILES = ("password_file", "ca_file", "cert_file", "key_file")


class MqttSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A broker that receives every event: `stripwatch forward mqtt`."""

    endpoint: Annotated[str, Meta(pattern=MQTT_ENDPOINT_PATTERN)]
    prefix: Annotated[str, Meta(pattern=MQTT_TOPIC_PATTERN, max_length=200)] = "stripwatch"
    client_id: Text | None = None  # None: made from the prefix
    username: Text | None = None
    password_file: FilePath | None = None
    ca_file: FilePath | None = None  # None: the authorities that the system trusts
    cert_file: FilePath | None = None  # of ours, where the broker wants one
    key_file: FilePath | None = None  # None: it stands in cert_file
    window: Annotated[int, Meta(ge=1, le=10_000)] = 200  # events in flight
    keepalive_s: Annotated[int, Meta(ge=2, le=3600)] = 15

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.endpoint.startswith("mqtts://")

    @property
    def address(self) -> tuple[str, int]:
        """Host, without the brackets of an IPv6 address, and port."""
        host, _, port = self.endpoint.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)


class Forward(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where else events go; each by a process of its own."""

    mqtt: MqttSection | None = None


def forward_mistakes(forward: Forward) -> list[str]:
    """Keys that do not fit together."""
    mqtt = forward.mqtt
    if mqtt is None:
        return []
    mistakes = []
    if mqtt.password_file and not mqtt.username:
        mistakes.append("forward.mqtt.password_file: needs forward.mqtt.username beside it")
    if mqtt.key_file and not mqtt.cert_file:
        mistakes.append("forward.mqtt.key_file: needs forward.mqtt.cert_file beside it")
    if not mqtt.has_tls and (mqtt.ca_file or mqtt.cert_file):
        mistakes.append(
            f"forward.mqtt.endpoint = {mqtt.endpoint!r}: certificates are for TLS; write mqtts:// "
            "in place of mqtt://, or leave ca_file, cert_file and key_file out"
        )
    return mistakes


def with_absolute_forward_files(forward: Forward, folder: Path) -> Forward:
    """The same with files that start at `folder`, or at systemd's credentials."""
    if forward.mqtt is None:
        return forward
    return Forward(mqtt=with_absolute_files(forward.mqtt, _FILES, folder))
