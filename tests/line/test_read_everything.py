"""Real processes, killed at any moment: a subscriber that may ask has every event."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.line.test_restart import journalled

from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import ExitCode
from stripwatch.testing import FakeCamera
from stripwatch.wire.event import NumberedEvent, StripEnd

KILLS = 4

# Appends every event to a file, and begins after the last one in it.
AFTER_ITS_OWN_RESULTS = """
import json, os, sys
from stripwatch import Subscriber
path, events, requests = sys.argv[1:]
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
lines = open(path, "rb").read().splitlines()
last = json.loads(lines[-1]) if lines else None
place = {"after": (last["stream"], last["seq"])} if last else {"start": "beginning"}
with Subscriber(events, ("",), requests=requests, **place) as subscriber:
    while received := subscriber.receive_message():
        if getattr(received.event, "seq", None):
            os.write(file, received.payload + b"\\n")
"""
# The same, but the daemon keeps its place.
AS_A_READER = """
import os, sys
from stripwatch import Subscriber
path, events, requests = sys.argv[1:]
file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
with Subscriber(
    events, ("",), requests=requests, reader="press", start="beginning"
) as subscriber:
    while received := subscriber.receive_message():
        if getattr(received.event, "seq", None):
            os.write(file, received.payload + b"\\n")
"""


class Reader:
    """A subscriber's process, and what it has written."""

    def __init__(self, program: str, daemon: Daemon) -> None:
        self._path = daemon.folder / "results"
        self._path.touch()
        endpoints = [f"ipc://{daemon.folder}/{name}" for name in ("out", "requests")]
        self._command = [sys.executable, "-c", program, str(self._path), *endpoints]
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self._process = subprocess.Popen(self._command)

    def results(self) -> list[NumberedEvent]:
        lines = self._path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=NumberedEvent) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("program", [AFTER_ITS_OWN_RESULTS, AS_A_READER], ids=["after", "reader"])
def test_every_event_comes_whoever_is_killed(
    daemon: Daemon, camera: FakeCamera, program: str, seed: int
) -> None:
    """Once, where the place is kept with the results; else some of the last second come again."""
    chance = random.Random(seed)
    daemon.make_engine(FakeBehaviour(delay_ms=5))
    defective = np.zeros(DAEMON_SHAPE, np.uint8)
    defective[3:9, 3:40:6] = 252
    process = daemon.start()
    daemon.wait_for("READY=1")
    reader = Reader(program, daemon)
    try:
        seq = 0
        for _ in range(KILLS):
            for _ in range(chance.randint(50, 200)):
                camera.send("top", "s", seq, defective, strip="coil-7", line=seq * 32)
                seq += 1
            time.sleep(chance.uniform(0.1, 1.0))
            if chance.random() < 0.7:
                process.kill()
                process.wait()
                time.sleep(chance.uniform(0, 0.3))
                daemon.messages.clear()
                process = daemon.start()
            if chance.random() < 0.7:
                reader.kill()
                reader.restart()
            daemon.wait_for("READY=1")
        camera.send("top", "s", seq, defective, strip="coil-7", line=seq * 32, end=True)
        daemon.wait(lambda: isinstance(journalled(daemon.folder)[-1], StripEnd))  # nothing follows
        daemon.wait(lambda: journalled(daemon.folder)[-1:] == reader.results()[-1:])
        results, expected = reader.results(), journalled(daemon.folder)
        if program is AFTER_ITS_OWN_RESULTS:
            assert results == expected, f"seed {seed}"
        else:
            assert list({event.seq: event for event in results}.values()) == expected
        assert len(expected) > 100
        assert daemon.stop() == ExitCode.OK
    finally:
        reader.kill()


@pytest.mark.slow
def test_a_flood_of_requests_does_not_stop_the_line(daemon: Daemon, camera: FakeCamera) -> None:
    """Every frame is inspected, and the events of another subscriber come, meanwhile."""
    flood = """
import sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
while True:
    socket.send(b'{"type":"since","id":"1","stream":null,"seq":0,"topics":["none"]}')
    if socket.poll(0):
        socket.recv_multipart()
"""
    daemon.start()
    daemon.wait_for("READY=1")
    command = [sys.executable, "-c", flood, f"ipc://{daemon.folder}/requests"]
    floods = [subprocess.Popen(command)]
    reader = Reader(AFTER_ITS_OWN_RESULTS, daemon)
    try:
        defective = np.full(DAEMON_SHAPE, 252, np.uint8)
        for seq in range(1000):
            camera.send("top", "s", seq, defective, strip="coil-7", line=seq * 32, end=seq == 999)
        daemon.wait(lambda: len(reader.results()) >= 1003, timeout_s=60)
        assert reader.results() == journalled(daemon.folder)
    finally:
        reader.kill()
        for process in floods:
            process.kill()
            process.wait()


def test_the_daemon_answers_and_ends_with_a_client_connected(daemon: Daemon) -> None:
    """The requests thread ends with the others."""
    daemon.start()
    daemon.wait_for("READY=1")
    reader = Reader(AFTER_ITS_OWN_RESULTS, daemon)
    try:
        daemon.wait(lambda: len(reader.results()) == 1)
        assert daemon.stop() == ExitCode.OK
        assert "requests" not in Path(daemon.log).read_text()
    finally:
        reader.kill()
