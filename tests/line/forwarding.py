"""A journal, `stripwatch forward mqtt`, a broker and a consumer, for tests of whole processes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.line.conftest import CONFIG
from tests.programs import program

from stripwatch.journal.positions import Positions
from stripwatch.journal.records import EventRecord, Transaction
from stripwatch.journal.store import Journal
from stripwatch.lab.faults.proxy import free_port

WAIT_S = 30.0
WINDOW = 20  # messages in flight that mosquitto allows unless it is told otherwise
TOPICS = ("defect.top.pits", "gap.top", "strip.top", "daemon")


def wait(condition: Callable[[], bool], what: Callable[[], str] = str) -> None:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, what()
        time.sleep(0.02)


class Broker:
    """A mosquitto of its own, on its own port."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._program = program("mosquitto", "mosquitto")
        self.folder = folder
        folder.mkdir()
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        self.configure("allow_anonymous true", *settings)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, *settings: str) -> None:
        rows = (
            "user root",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",  # the default drops what a slow consumer has not taken
            f"listener {self.port} 127.0.0.1",
            *settings,
        )
        self.config.write_text("\n".join(rows) + "\n")

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-c", str(self.config)], stdout=log, stderr=log
            )
        wait(self._listens, (self.folder / "log").read_text)

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """SIGTERM: it saves its sessions."""
        assert self.process
        self.process.terminate()
        self.process.wait(20)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()


class Consumer:
    """Keeps what comes; its session outlives its connections."""

    def __init__(self, port: int, name: str = "consumer") -> None:
        self.events: list[tuple[str, int]] = []  # topic, seq; as they came
        self.payloads: dict[int, bytes] = {}
        self.statuses: list[dict[str, object]] = []
        self.retained: list[bool] = []  # of the statuses
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("plant/line1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        lasting.SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", port, clean_start=False, properties=lasting)
        self._client.loop_start()
        assert self._subscribed.wait(WAIT_S)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        content = json.loads(message.payload)
        if content["type"] == "forward_status":
            self.retained.append(message.retain)
            self.statuses.append(content)
        else:
            self.payloads[content["seq"]] = bytes(message.payload)
            self.events.append((message.topic, content["seq"]))

    @property
    def first_seen(self) -> list[int]:
        """Numbers in the order in which each was seen first."""
        return list(dict.fromkeys(seq for _, seq in self.events))

    @property
    def doubled(self) -> int:
        return len(self.events) - len(self.payloads)

    def wait_for(self, seq: int) -> None:
        wait(lambda: seq in self.payloads, lambda: f"{seq}: {self.events[-3:]}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def section(port: int) -> tuple[str, ...]:
    """Of a configuration: where to forward to."""
    return (
        "[forward.mqtt]",
        f'endpoint = "mqtt://localhost:{port}"',
        'prefix = "plant/line1"',
        "keepalive_s = 2\n",
    )


def start_forwarder(config: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "stripwatch", "forward", "mqtt", "--config", str(config)],
            stderr=file,
        )


@contextmanager
def forwarding(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A forwarder for the length of a block."""
    process = start_forwarder(config, log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Line:
    """A journal that grows, and the process that forwards it."""

    def __init__(self, folder: Path, port: int, *settings: str) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.configure(port, *settings)
        self.journal = Journal(folder / "journal")
        self.log = folder / "forward.log"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, port: int, *settings: str) -> None:
        text = CONFIG.format(folder=self.folder, pattern="pull")
        self.config.write_text("\n".join((text, *section(port), *settings)))

    def append(self, count: int) -> int:
        """Journal events of all topics, about 730 bytes each; returns the last number."""
        first = self.journal.last_seq + 1
        for start in range(first, first + count, 500):
            numbers = range(start, min(start + 500, first + count))
            self.journal.append(Transaction([self._record(seq) for seq in numbers]))
        return self.journal.last_seq

    def _record(self, seq: int) -> EventRecord:
        content = {"type": "x", "stream": self.journal.stream, "seq": seq, "rle": "1 2 " * 160}
        payload = json.dumps(content).encode()
        topic = TOPICS[seq % len(TOPICS)]
        return EventRecord(seq, "x", topic, time.time_ns(), None, None, None, None, payload)

    def start(self) -> subprocess.Popen[bytes]:
        self.process = start_forwarder(self.config, self.log)
        return self.process

    def stop(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(20)

    def wait_for_log(self, text: str) -> None:
        wait(lambda: text in self.log.read_text(), lambda: f"{text}: {self.log.read_text()}")

    @property
    def position(self) -> int:
        positions = Positions(self.folder / "journal")
        try:
            position = positions.get("forward-mqtt")
            return position.seq if position else 0
        finally:
            positions.close()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.journal.close()
