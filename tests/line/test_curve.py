"""CURVE with real clients: the good ones work, all others are refused, counted and named."""

from __future__ import annotations

import random
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs
from tests.line.secured import SHAPE, Secured, free_ports, running, secured_line, wait

from stripwatch import Subscriber
from stripwatch.client.requester import Requester
from stripwatch.files import write_whole
from stripwatch.net.access import may_write
from stripwatch.net.curve import DaemonCurve, secure
from stripwatch.recording.recorder import Recorder
from stripwatch.recording.writer import RecordingWriter
from stripwatch.testing import FakeCamera
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import FrameResult, Status
from stripwatch.wire.requests import AskPosition, Position

SEED = 20261128


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secured]:
    """A daemon that gives handshakes little time, so that the tests need little."""
    monkeypatch.setattr("stripwatch.net.sockets.HANDSHAKE_MS_MAX", 1000)
    with secured_line(tmp_path) as line:
        yield line


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def hears_frames(events: Subscriber) -> bool:
    return any(isinstance(events.receive(0.1), FrameResult) for _ in range(20))


def test_who_has_the_right_key_sends_reads_and_asks(line: Secured) -> None:
    with line.subscriber("gate") as events, line.camera("top") as camera:
        assert isinstance(events.receive(20), object)
        line.send_until_inspected(camera, "s1")
        assert hears_frames(events)
    with closing(Requester(line.context, line.requests, line.curve("gate"))) as requester:
        requester.ask(AskPosition(id="1"))
        reply = requester.reply(10)
        assert reply is not None
        assert isinstance(reply.answer, Position)
    assert line.pipeline.door is not None
    assert line.pipeline.door.rejected == {}


def test_the_daemons_own_key_may_do_everything(line: Secured) -> None:
    """So that commands on its computer work for those who can read it."""
    assert line.pipeline.door is not None
    access = line.pipeline.door.access
    name = access.admit(access.key.public_key, "events")
    assert isinstance(name, str)
    assert may_write(access, name)
    assert access.may_send(name, "bottom")


@pytest.mark.parametrize(
    ("kind", "causes"),
    [
        # Whichever side sees it first closes: where that is the client, no more is known.
        ("null", (Cause.NO_CURVE, Cause.BAD_HANDSHAKE)),
        ("plain", (Cause.NO_CURVE, Cause.BAD_HANDSHAKE)),
        ("wrong daemon key", (Cause.WRONG_DAEMON_KEY,)),
        ("unknown key", (Cause.UNKNOWN_KEY,)),
        ("revoked key", (Cause.REVOKED_KEY,)),
        ("no right to send", (Cause.NOT_GRANTED,)),
    ],
)
def test_a_camera_without_the_right_is_refused_and_counted(
    line: Secured, kind: str, causes: tuple[Cause, ...]
) -> None:
    """A good camera beside it works; no frame of the other is seen."""
    keys = {"wrong daemon key": "lost", "unknown key": "stranger", "revoked key": "old"}
    if kind == "wrong daemon key":
        line.make("other")
        line.make("lost", "other")
        line.grant("lost", "top")
    elif kind == "unknown key":
        line.make("stranger")
    elif kind == "revoked key":
        line.make("old")
        line.grant("old", "top")
        line.revoke("old")
    with line.camera("top") as good, closing(line.context.socket(zmq.PUSH)) as bad:
        line.send_until_inspected(good, "s1")
        bad.linger = 0
        if kind == "plain":
            bad.plain_username, bad.plain_password = b"top", b"secret"
        elif kind != "null":
            curve = line.curve(keys.get(kind, "gate"))
            bad.curve_serverkey = curve.daemon_key.encode()
            bad.curve_publickey = curve.public_key.encode()
            bad.curve_secretkey = curve.secret_key.encode()
        bad.connect(line.frames)
        bad.send_multipart([b"frame.top", b"{}", b""])
        wait(lambda: line.count(*causes) > 0)
        line.send_until_inspected(good, "s2")
    assert line.count(Cause.BAD_HEADER) == 0, "a message of the refused client was read"
    assert line.pipeline.door is not None
    _, detail = line.pipeline.door.fault_of(causes[0]) or ("", "")
    if kind in keys and kind != "wrong daemon key":
        assert "from 127.0.0.1" in detail


def test_the_right_key_for_the_wrong_camera_is_refused_frame_by_frame(line: Secured) -> None:
    """It makes no gap for the camera that it names, whatever topic its frames have."""
    with line.camera("top") as camera:
        line.send_until_inspected(camera, "s1")
        camera.send("bottom", "s1", 0)
        camera.socket.send_multipart([b"frame.top", b'{"v":1,"camera":"bottom"}', b""])
        wait(lambda: line.count(Cause.NOT_GRANTED) >= 1)
        line.send_until_inspected(camera, "s2")
    assert "bottom" not in line.pipeline.outbox.ledger.statuses()
    assert line.pipeline.receiver.fault_of(Cause.NOT_GRANTED)[1] == "key top sends as 'bottom'"


def test_a_grant_lets_a_waiting_client_in_without_a_restart(line: Secured) -> None:
    """Neither of the daemon nor of the client, which was refused before."""
    line.make("late")
    with line.camera("late") as camera:
        camera.send("top", "s1", 0)
        wait(lambda: line.count(Cause.UNKNOWN_KEY) > 0)
        line.grant("late", "top")
        wait(lambda: line.inspected == 1)


def test_a_revoked_camera_is_cut_and_stays_out(line: Secured) -> None:
    with line.camera("top") as camera:
        line.send_until_inspected(camera, "s1")
        line.revoke("top")
        door = line.pipeline.door
        assert door is not None
        wait(lambda: door.access.version == 1)
        before = line.inspected
        for seq in range(20, 40):
            camera.send("top", "s1", seq)
        wait(lambda: door.rejected[Cause.REVOKED_KEY] > 0)  # it comes again, and is refused
        assert line.pipeline.receiver.arrivals.rejected[Cause.REVOKED_KEY] > 0
        assert line.inspected == before


def test_a_revoked_subscriber_is_cut_and_the_others_read_on(line: Secured) -> None:
    """Both have the same topics, of which libzmq otherwise tells once."""
    line.make("press")
    line.grant("press", rights=("events",))
    with (
        line.subscriber("press", "frame", "status") as revoked,
        line.subscriber("gate", "frame", "status") as good,
        line.camera("top") as camera,
    ):
        assert isinstance(revoked.receive(20), Status)
        assert isinstance(good.receive(20), Status)
        line.revoke("press")
        wait(lambda: line.count(Cause.REVOKED_KEY) > 1)  # cut, and refused when it came again
        while revoked.receive(0.2) is not None:
            pass
        line.send_until_inspected(camera, "s1")
        assert hears_frames(good)
        assert revoked.receive(0.5) is None


def test_a_revoked_client_gets_no_more_answers(line: Secured) -> None:
    with closing(Requester(line.context, line.requests, line.curve("gate"))) as requester:
        requester.ask(AskPosition(id="1"))
        assert requester.reply(10) is not None
        line.grant("gate", rights=("events",))
        wait(lambda: line.pipeline.door is not None and line.pipeline.door.access.version == 1)
        requester.ask(AskPosition(id="2"))
        wait(lambda: line.count(Cause.NOT_GRANTED) > 0)
        assert requester.reply(0.2) is None


def test_a_broken_list_changes_nothing(line: Secured) -> None:
    """The daemon follows the next good one."""
    good = line.allow_list.read_bytes()
    door = line.pipeline.door
    assert door is not None
    with capture_logs() as logs:
        write_whole(line.allow_list, b"[[keys]\n")
        wait(lambda: any("not taken over" in entry["event"] for entry in logs))
    assert door.access.may("gate", "events")
    write_whole(line.allow_list, good)
    line.revoke("gate")
    wait(lambda: not door.access.may("gate", "events"))


def test_silent_connections_by_the_thousand_and_garbage_harm_nobody(tmp_path: Path) -> None:
    """The thousand are closed, those above the limit at once; a good camera works throughout."""
    with secured_line(tmp_path) as line:
        flood(line)


def flood(line: Secured) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    before = descriptors_open()
    with line.camera("top") as camera, ExitStack() as stack:
        line.send_until_inspected(camera, "s1")
        for _ in range(1000):
            stack.enter_context(socket.create_connection(("127.0.0.1", line.ports[0]), 10))
        wait(lambda: line.count(Cause.TOO_MANY_CONNECTIONS) > 0)
        with line.camera("top") as newcomer:  # has the place of one that says nothing
            line.send_until_inspected(newcomer, "s1b")
        for number in range(50):
            with socket.create_connection(("127.0.0.1", line.ports[1]), 10) as garbage:
                garbage.sendall(b"GET / HTTP/1.1\r\n\r\n" if number % 2 else chance.randbytes(500))
        wait(lambda: line.count(Cause.BAD_HANDSHAKE) >= 50)
        line.send_until_inspected(camera, "s2")
        wait(lambda: line.count(Cause.HANDSHAKE_TIMEOUT, Cause.TOO_MANY_CONNECTIONS) >= 990)
        line.send_until_inspected(camera, "s3")
    wait(lambda: descriptors_open() <= before + 20)


def test_status_and_log_name_what_was_refused_once(
    line: Secured, capsys: pytest.CaptureFixture[str]
) -> None:
    line.make("stranger")
    with line.subscriber("gate", "status") as events, line.camera("stranger"):
        for _ in range(30):
            status = events.receive(20)
            assert isinstance(status, Status)
            if status.drops.get(Cause.UNKNOWN_KEY, 0) > 1:
                break
        else:
            pytest.fail("the status does not count it")
    out = capsys.readouterr().out
    assert out.count("connections refused") == 1, out
    assert "unknown_key" in out


@pytest.mark.parametrize("name", ["top", "stranger"])
def test_a_camera_that_binds_needs_a_key_as_well(tmp_path: Path, name: str) -> None:
    """The daemon is the server of CURVE also where it connects: its list decides."""
    with zmq.Context() as context, closing(context.socket(zmq.XPUB)) as camera:
        camera.linger = 0
        keys = Secured(tmp_path, attach="connect")
        keys.make("stranger")
        secure(camera, keys.curve(name), keys.frames)
        camera.bind(keys.frames)
        with running(keys) as line:
            if name == "top":
                assert camera.poll(20_000)
                assert camera.recv() == b"\x01frame."
                line.send_until_inspected(FakeCamera(camera, SHAPE), "s1")
            else:
                wait(lambda: line.count(Cause.UNKNOWN_KEY) > 0)
                assert not camera.poll(100), "the daemon has subscribed at a stranger"


def test_a_recorder_takes_the_daemons_place(line: Secured, tmp_path: Path) -> None:
    """With its key and its list: what the daemon refuses is not recorded."""
    line.stop()
    line.make("stranger")
    recorder = Recorder(line.config.inputs, frame_shape=SHAPE, security=line.config.security)
    writer = RecordingWriter(tmp_path / "x.mcap", overwrite=False)
    try:
        with line.camera("top") as camera, line.camera("stranger"):
            camera.send("top", "s1", 0)
            camera.send("bottom", "s1", 0)
            camera.send("top", "s1", 1)

            def has_all() -> bool:
                recorder.step(writer, 20)
                refused = recorder.refused[Cause.UNKNOWN_KEY]
                return recorder.frames.total() == 2 and refused > 0

            wait(has_all)
    finally:
        recorder.close()
        writer.close()
    assert recorder.frames == {"top": 2}
    assert recorder.rejected == {Cause.NOT_GRANTED: 1}
    assert recorder.fault_of(Cause.UNKNOWN_KEY).endswith("from 127.0.0.1")


def test_without_an_answering_door_nobody_gets_in(line: Secured) -> None:
    """libzmq would let every key in; only the name that the door gives opens anything."""
    with zmq.Context() as context:
        pull = context.socket(zmq.PULL)
        assert line.pipeline.door is not None
        curve = line.pipeline.door.curve("frames")
        lonely = DaemonCurve(
            public_key=curve.public_key,
            secret_key=curve.secret_key,
            domain="frames",
            watch=lambda _socket, _endpoint: None,
        )
        (port,) = free_ports(1)
        secure(pull, lonely, "")
        pull.bind(f"tcp://127.0.0.1:{port}")
        push = context.socket(zmq.PUSH)
        push.linger = 0
        secure(push, line.curve("top"), "")
        push.connect(f"tcp://127.0.0.1:{port}")
        push.send(b"frame", zmq.NOBLOCK)
        assert not pull.poll(500)
        pull.close(0)
        push.close(0)
