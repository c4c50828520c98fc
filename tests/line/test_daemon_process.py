"""The daemon as a real process, with real sockets, signals and a real notification socket."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import zmq
from tests.line.test_monitoring import Watched

from stripwatch.client.subscriber import Subscriber
from stripwatch.engines.manifest import (
    FakeBehaviour,
    load_manifest,
    save_manifest,
    sha256_files,
)
from stripwatch.errors import ExitCode
from stripwatch.lab.bench.load_monitor import resident_bytes
from stripwatch.testing import FakeCamera
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, Event, Status

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

SHAPE = (32, 64)


def events_until_frame(events: Subscriber, seq: int) -> list[Event]:
    """Every event until a status says that a frame of camera "top" is accounted for."""
    got: list[Event] = []
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        event = events.receive(0.2)
        if isinstance(event, Status):
            got.append(event)
            if "top" in event.cameras and event.cameras["top"].last_frame_seq >= seq:
                return got
        elif event is not None:
            got.append(event)  # type: ignore[arg-type]
    raise TimeoutError(got)


def test_ready_watchdog_status_and_stopping_reach_the_service_manager(daemon: Daemon) -> None:
    """READY comes after the engine is warm, WATCHDOG and STATUS follow, STOPPING ends it."""
    daemon.start()
    daemon.wait_for("READY=1")
    assert "STATUS=STARTING: loading the engine" in daemon.messages
    daemon.wait_for("WATCHDOG=1")
    daemon.wait_for("STATUS=OK; ")
    assert daemon.stop() == ExitCode.OK
    daemon.read_messages()
    assert "STOPPING=1" in daemon.messages
    first = [entry for entry in daemon.messages if not entry.startswith("STATUS=")]
    assert first[0] == "READY=1"


@pytest.mark.slow
def test_a_hanging_engine_no_longer_feeds_the_watchdog(daemon: Daemon, camera: FakeCamera) -> None:
    """The process lives on, but progress has stopped: systemd must notice."""
    daemon.make_engine(FakeBehaviour(hang_after=1))
    process = daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0)
    until_s = time.monotonic() + 30
    quiet_since_s = time.monotonic()
    while time.monotonic() - quiet_since_s < 3:
        assert time.monotonic() < until_s, "the watchdog was fed all the time"
        before = daemon.messages.count("WATCHDOG=1")
        daemon.read_messages()
        if daemon.messages.count("WATCHDOG=1") > before:
            quiet_since_s = time.monotonic()
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == ExitCode.DRAIN_TIMEOUT


@pytest.mark.slow
def test_sigterm_drains_what_was_received(daemon: Daemon, camera: FakeCamera) -> None:
    """Every defect of a frame that was let in is published before the process ends."""
    daemon.make_engine(FakeBehaviour(delay_ms=150))
    daemon.start()
    daemon.wait_for("READY=1")
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[3, 3] = 252
    with Subscriber(f"ipc://{daemon.folder}/out", ("defect", "status")) as events:
        while not isinstance(events.receive(5), Status):
            pass
        for seq in range(8):
            camera.send("top", "s", seq, pixels)
        time.sleep(0.3)
        assert daemon.stop() == ExitCode.OK
        got = []
        while (event := events.receive(1)) is not None:
            got.append(event)
    last = [event for event in got if isinstance(event, Status)][-1]
    defects = [event for event in got if isinstance(event, Defect)]
    assert last.state == "STOPPING"
    assert len(defects) == last.cameras["top"].inspected == last.cameras["top"].last_frame_seq + 1


@pytest.mark.slow
def test_bad_messages_are_counted_and_nothing_else_is_harmed(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """Whatever a peer sends, the daemon goes on, says what it was, and accounts for every frame."""
    daemon.start()
    daemon.wait_for("READY=1")
    raw = camera.socket
    with Subscriber(f"ipc://{daemon.folder}/out", ("gap", "status")) as events:
        while not isinstance(events.receive(5), Status):
            pass
        camera.send("top", "s", 0)
        raw.send(b"frame.top")  # one part
        raw.send_multipart([b"frame.top", b"{}"])  # two
        raw.send_multipart([b"frame.top", b"[" * 4000, b""])  # JSON bomb
        raw.send_multipart([b"frame.top", b"x" * 60_000, b""])  # header too long
        raw.send_multipart([b"t" * 60_000, b"{}", b""])  # topic too long
        camera.send("top", "s", 1, None, shape=[32, 63])
        camera.send("top", "s", 2, None, shape=[10**9, 10**9])
        camera.send("top", "s", 3, None, shape=[31, 64])  # payload longer than the shape says
        camera.send("top", "s", 4, None, codec="png")
        camera.send("top", "s", 5, None, dtype="u16")
        camera.send("top", "s", 6, None, t_ns="now")
        camera.send("other", "s", 0)
        camera.send("top", "s", 7)
        got = events_until_frame(events, 7)
    assert daemon.stop() == ExitCode.OK
    status = [event for event in got if isinstance(event, Status)][-1]
    assert status.drops == {
        Cause.BAD_PARTS: 1,
        Cause.BAD_HEADER: 4,  # {}, the bomb, the long one, and t_ns
        Cause.BAD_TOPIC: 1,
        Cause.BAD_SHAPE: 2,
        Cause.BAD_LENGTH: 1,
        Cause.BAD_CODEC: 1,
        Cause.BAD_DTYPE: 1,
        Cause.UNKNOWN_CAMERA: 1,
    }
    top = status.cameras["top"]
    assert (top.inspected, sum(top.missed.values())) == (2, 6)
    log = daemon.log.read_text()
    assert "unknown_camera" in log
    assert "other" in log


@pytest.mark.slow
def test_a_message_of_a_gigabyte_ends_the_connection_and_nothing_else(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """A length beyond the limit is refused by its header, before the bytes are read."""
    process = daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0)
    with Subscriber(f"ipc://{daemon.folder}/out", ("status",)) as events:
        events_until_frame(events, 0)
        before = resident_bytes(process.pid)
        with zmq.Context() as context, context.socket(zmq.PUSH) as huge:
            huge.setsockopt(zmq.LINGER, 0)
            huge.connect(f"ipc://{daemon.folder}/in")
            huge.send_multipart([b"frame.top", b"{}", bytes(2**30)], copy=False)
            time.sleep(0.5)
        camera.send("top", "s", 1)
        status = events_until_frame(events, 1)[-1]
    assert isinstance(status, Status)
    assert status.cameras["top"].inspected == 2
    grown = resident_bytes(process.pid) - before
    assert grown < 50_000_000
    assert daemon.stop() == ExitCode.OK


@pytest.mark.slow
def test_a_subscriber_that_never_reads_costs_bounded_memory(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """Its queue fills up and overflows; the others and the daemon go on."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[::2, ::2] = 252  # 100 defects of one pixel each, the rest as one
    process = daemon.start()
    daemon.wait_for("READY=1")
    with zmq.Context() as context, context.socket(zmq.SUB) as deaf:
        deaf.set_hwm(1)
        deaf.setsockopt(zmq.LINGER, 0)
        deaf.subscribe(b"")
        deaf.connect(f"ipc://{daemon.folder}/out")
        with Subscriber(f"ipc://{daemon.folder}/out", ("status",)) as events:
            for seq in range(100):
                camera.send("top", "s", seq, pixels)
            events_until_frame(events, 99)
            before = resident_bytes(process.pid)
            for seq in range(100, 600):
                camera.send("top", "s", seq, pixels)
            events_until_frame(events, 599)
            grown = resident_bytes(process.pid) - before
    assert grown < 20_000_000
    assert daemon.stop() == ExitCode.OK


@pytest.mark.slow
def test_a_killed_camera_comes_back_as_a_new_session(daemon: Daemon) -> None:
    """Killed in the middle of a frame and started again: nothing of the half frame is seen."""
    daemon.start()
    daemon.wait_for("READY=1")
    with Subscriber(f"ipc://{daemon.folder}/out", ("gap", "status")) as events:
        while not isinstance(events.receive(5), Status):
            pass
        half = socket.socket(socket.AF_UNIX)
        half.connect(f"{daemon.folder}/in")
        # A greeting of ZMTP 3.0 and the beginning of a frame that never ends.
        half.send(b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48))
        half.send(b"\x02\x00\x00\x00\x00\x00\x00\x08\x00" + bytes(100))
        half.close()
        for session in ("first", "second"):
            context = zmq.Context()
            push = context.socket(zmq.PUSH)
            push.connect(f"ipc://{daemon.folder}/in")
            camera = FakeCamera(push, SHAPE)
            for seq in (0, 1, 3):
                camera.send("top", session, seq)
            got = events_until_frame(events, 3)
            if session == "second":
                while got[-1].cameras["top"].session != session:  # type: ignore[union-attr]
                    got += events_until_frame(events, 3)
            context.destroy(linger=0)
    status = got[-1]
    assert isinstance(status, Status)
    top = status.cameras["top"]
    assert (top.session, top.sessions) == ("second", 2)
    assert (top.inspected, top.missed) == (3, {Cause.LOST: 1})
    assert daemon.stop() == ExitCode.OK


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("[line]", "[lime]"), ExitCode.CONFIG, "lime"),
        (("frame_lines = 32", "frame_lines = 31"), ExitCode.CONFIG, "engine-build"),
        (('folder = "engine"', 'folder = "nowhere"'), ExitCode.MODEL, "engine-build"),
        (("[[cameras]]", "[[cameras"), ExitCode.CONFIG, "TOML"),
    ],
)
def test_a_mistake_in_the_configuration_ends_with_a_sentence(
    daemon: Daemon, change: tuple[str, str], code: ExitCode, words: str
) -> None:
    """`run` and `check` say the same, and the exit code names the kind."""
    daemon.config.write_text(daemon.config.read_text().replace(*change))
    for command in ("run", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "stripwatch", command, str(daemon.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"batch": (1, 2)}, ExitCode.CONFIG),
        ({"target": "openvino"}, ExitCode.MODEL),  # without a file
        ({"target": "tensorrt-rtx", "files": ("engine.plan",)}, ExitCode.MODEL),
    ],
)
def test_an_engine_that_does_not_fit_is_refused_before_it_is_loaded(
    daemon: Daemon, changes: dict[str, object], code: ExitCode
) -> None:
    """`check` refuses it in the very words of `run`."""
    folder = daemon.folder / "engine"
    (folder / "engine.plan").write_bytes(b"plan")
    manifest = msgspec.structs.replace(load_manifest(folder), **changes)
    save_manifest(
        folder,
        msgspec.structs.replace(
            manifest, engine_hash=sha256_files(*(folder / name for name in manifest.files))
        ),
    )
    said = []
    for command in ("run", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "stripwatch", command, str(daemon.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code
        said.append([line for line in done.stderr.splitlines() if line.startswith("error: ")])
    assert said[0] == said[1]
    assert "engine-build" in said[0][0] or "pip install" in said[0][0]


def test_a_port_in_use_is_named(daemon: Daemon, tmp_path: Path) -> None:
    """The second daemon on an endpoint says which one is taken."""
    with zmq.Context() as context, context.socket(zmq.PULL) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        text = daemon.config.read_text().replace(f"ipc://{tmp_path}/in", f"tcp://127.0.0.1:{port}")
        daemon.config.write_text(text)
        assert daemon.start().wait(30) == ExitCode.ADDRESS
    assert f"tcp://127.0.0.1:{port}" in daemon.log.read_text()
    assert "another process" in daemon.log.read_text()


@pytest.mark.slow
def test_a_device_that_never_recovers_ends_with_its_own_exit_code(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """After `rebuilds_max` faults in a row the daemon gives up and says so."""
    daemon.make_engine(FakeBehaviour(fail_every=1))
    process = daemon.start()
    daemon.wait_for("READY=1")
    until_s = time.monotonic() + 30
    seq = 0
    while process.poll() is None and time.monotonic() < until_s:
        camera.send("top", "s", seq)
        seq += 1
        time.sleep(0.05)
    assert process.wait(20) == ExitCode.DEVICE
    assert "gave up after 3 faults" in daemon.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_second_signal_stops_at_once(
    daemon: Daemon, camera: FakeCamera, number: signal.Signals
) -> None:
    """Ctrl-C, or systemd's SIGTERM, drains; a second one does not wait for it."""
    daemon.make_engine(FakeBehaviour(hang_after=1))
    watched = Watched(daemon)
    process = daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0)
    daemon.wait(lambda: watched.value('stripwatch_slots{state="running"}') == 1)
    process.send_signal(number)
    daemon.wait_for("STOPPING=1")
    process.send_signal(number)
    assert process.wait(20) == ExitCode.DRAIN_TIMEOUT
