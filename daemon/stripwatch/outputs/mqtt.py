"""The MQTT sink: version 5, QoS 1, one topic for each kind of event and camera.

One thread drives paho, without its own: no lock is ever held around `publish`, and a message is
acknowledged when its `MQTTMessageInfo` says so.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stripwatch.config.forward import MqttSection
from stripwatch.errors import SinkError
from stripwatch.outputs.mqtt_faults import CONNECT_S, explain
from stripwatch.outputs.mqtt_options import password_of, tls_of

LEAVE_S = 1.0  # for the last messages to leave
HEADER_BYTES_MAX = 16  # of a PUBLISH packet, but for its topic
RECEIVE_MAX = 65_535  # messages in flight, where the broker names no limit
PACKET_BYTES_MAX = 268_435_455  # of MQTT
KEEPALIVE_TIMEOUT = 0x8D
NO_SUBSCRIBERS = 0x10  # a success: the broker has taken the message, and nobody listens
LAST_WILL = msgspec.json.encode(
    {"type": "forward_status", "state": "offline", "reason": "the connection was lost", "v": 1}
)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of a broker, for one connection."""

    in_flight: int
    packet_bytes: int
    qos: int


class MqttSink:
    """A `Sink` that publishes to a broker."""

    def __init__(self, settings: MqttSection) -> None:
        """Read the files that the settings name.

        Raises:
            ConfigError: one of them cannot be used.
        """
        self._settings = settings
        self._client_id = settings.client_id or settings.prefix.replace("/", "-")
        self._password = password_of(settings)
        self._tls = tls_of(settings)
        self._client: Client | None = None
        self._sent: deque[MQTTMessageInfo] = deque()
        self._refused: set[int] = set()  # message ids
        self._reports: set[int] = set()  # message ids of statuses, which count for nothing
        self._fault = ""  # why the connection has ended
        self._limits: _Limits | None = None  # the broker's, once it has accepted us
        self.unheard = 0

    def connect(self) -> int:
        """Begin a connection; see `Sink`."""
        self.close()
        self._sent.clear()
        self._refused.clear()
        self._reports.clear()
        self._fault, self._limits = "", None
        self._client = client = self._make_client()
        host, port = self._settings.address
        try:
            client.connect(host, port, self._settings.keepalive_s)
        except (OSError, ValueError) as error:
            self._client = None
            raise SinkError(f"{self._settings.endpoint} {explain(error)}") from error
        until_s = time.monotonic() + CONNECT_S
        while self._limits is None and not self._fault and time.monotonic() < until_s:
            client.loop(0.1)
        if self._limits is None:
            self.close()
            raise SinkError(
                f"{self._settings.endpoint} {self._fault or 'has not answered; is it a broker?'}"
            )
        if self._limits.qos < 1:
            self.close()
            raise SinkError(f"{self._settings.endpoint} takes no messages of QoS 1")
        # One of them is for the status.
        return min(self._settings.window, max(1, self._limits.in_flight - 1))

    def send(self, topic: str, payload: bytes) -> None:
        """Hand over an event; see `Sink`."""
        client = self._connected()
        client.loop_read()  # an answer that came meanwhile tells more than a write that fails
        client = self._connected()
        name = f"{self._settings.prefix}/{topic.replace('.', '/')}"
        size = len(name.encode()) + len(payload) + HEADER_BYTES_MAX
        size_max = self._limits.packet_bytes if self._limits else size
        if size > size_max:
            self.close()
            raise SinkError(
                f"{self._settings.endpoint} takes at most {size_max} bytes a message, the next "
                f"event has {size}; raise the broker's limit"
            )
        self._sent.append(client.publish(name, payload, qos=1))

    def acknowledged(self, wait_s: float) -> int:
        """How many more of the oldest messages are acknowledged; see `Sink`."""
        if not self._fault:
            self._connected().loop(wait_s)
        count = 0
        while self._sent and self._is_acknowledged(self._sent[0]):
            self._sent.popleft()
            count += 1
        if not count:
            self._connected()
        return count

    def report(self, status: bytes) -> None:
        """Publish the retained status; see `Sink`."""
        topic = f"{self._settings.prefix}/status"
        self._reports.add(self._connected().publish(topic, status, qos=1, retain=True).mid)

    def leave(self, status: bytes) -> None:
        """End the connection in order, so that the broker keeps the last will to itself."""
        self.report(status)
        client = self._connected()
        client.disconnect()
        until_s = time.monotonic() + LEAVE_S
        while client.want_write() and client.socket() and time.monotonic() < until_s:
            client.loop(0.05)
        self.close()

    def close(self) -> None:
        """Forget the connection; without a DISCONNECT the broker publishes the last will."""
        if self._client is not None and (connection := self._client.socket()):
            connection.close()
        self._client = None

    def _make_client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # the window is ours
        if settings.username:
            client.username_pw_set(settings.username, self._password)
        if self._tls:
            client.tls_set_context(self._tls)
        client.will_set(f"{settings.prefix}/status", LAST_WILL, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _connected(self) -> Client:
        """The client.

        Raises:
            SinkError: the connection has ended.
        """
        if self._client is None or self._fault:
            self.close()
            raise SinkError(f"{self._settings.endpoint} {self._fault or 'is not connected'}")
        return self._client

    def _is_acknowledged(self, info: MQTTMessageInfo) -> bool:
        return info.rc <= 0 and info.is_published() and info.mid not in self._refused

    # paho calls these from `connect`, `publish` and `loop`, in our thread.

    def _on_connect(
        self,
        _client: Client,
        _data: object,
        _flags: ConnectFlags,
        code: ReasonCode,
        granted: Properties | None,
    ) -> None:
        if code.is_failure:
            self._fault = f"refuses us: {code}; check username, password_file and certificates"
        else:
            self._limits = _Limits(
                in_flight=getattr(granted, "ReceiveMaximum", RECEIVE_MAX),
                packet_bytes=getattr(granted, "MaximumPacketSize", PACKET_BYTES_MAX),
                qos=getattr(granted, "MaximumQoS", 1),
            )

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._fault:
            return  # the first reason is the cause
        if flags.is_disconnect_packet_from_server:
            self._fault = f"has ended the connection: {code}"
        elif self._limits is None:
            self._fault = "closed the connection before it answered; does its port want TLS?"
        elif code.value == KEEPALIVE_TIMEOUT:
            self._fault = "does not answer any more"
        else:
            self._fault = (
                "or the network has closed the connection; where this repeats, check that no "
                f"other client has the client_id {self._client_id}"
            )

    def _on_publish(
        self,
        _client: Client,
        _data: object,
        mid: int,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._refused.add(mid)
            self._fault = (
                f"refuses a message: {code}; check the right of our user to write below "
                f"{self._settings.prefix}/"
            )
        elif code.value == NO_SUBSCRIBERS and mid not in self._reports:
            self.unheard += 1
        self._reports.discard(mid)
