"""Several endpoints and cameras on one daemon: SUB and PULL, bind and connect."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    Publish,
)
from stripwatch.engines.fake import fake_factory
from stripwatch.errors import AddressError
from stripwatch.inspect.model import Model
from stripwatch.net.sockets import Context, Socket, open_socket
from stripwatch.pipeline import Pipeline
from stripwatch.stages import overload
from stripwatch.testing import CLASSES, FakeCamera

SHAPE = (8, 32)
FRAMES = 50
NAMES = ("sub-bind", "sub-connect", "pull-bind", "pull-connect")


def test_every_pattern_and_attachment_works_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four cameras on four endpoints; every frame of each is inspected."""
    # On a busy machine the burst waits in the queues, which hold all of it, and is no overload.
    monkeypatch.setattr(overload, "OVERLOAD_AFTER_MS", 60_000)
    inputs = tuple(
        Input(
            endpoint=f"ipc://{tmp_path}/{name}",
            pattern="sub" if name.startswith("sub") else "pull",
            attach="bind" if name.endswith("bind") else "connect",
            queue_frames=FRAMES,
        )
        for name in NAMES
    )
    config = Config(
        line=Geometry(frame_lines=8, frame_pixels=32, mm_per_line=1, mm_per_pixel=1),
        cameras=tuple(Camera(name=name) for name in NAMES),
        inputs=inputs,
        engine=EngineSection(folder=""),
        publish=Publish(endpoint=f"ipc://{tmp_path}/events"),
        batch=Batch(rows=4, wait_ms=2),
        journal=JournalSection(folder=f"{tmp_path}/journal"),
    )
    pipeline = Pipeline(config, Model("f" * 64, CLASSES), fake_factory())
    context = zmq.Context()
    try:
        pipeline.start()
        cameras = {}
        for entry, name in zip(inputs, NAMES, strict=True):
            sender = context.socket(zmq.XPUB if entry.pattern == "sub" else zmq.PUSH)
            if entry.attach == "bind":
                sender.connect(entry.endpoint)
            else:
                sender.bind(entry.endpoint)
            if entry.pattern == "sub":
                assert sender.poll(20_000), "the daemon has not subscribed"
                sender.recv()
            cameras[name] = FakeCamera(sender, SHAPE)
        for seq in range(FRAMES):
            for name, camera in cameras.items():
                camera.send(name, "s", seq)
        until_s = time.monotonic() + 20
        while pipeline.outbox.ledger.inspected < FRAMES * len(NAMES):
            assert time.monotonic() < until_s, pipeline.outbox.ledger.statuses()
            time.sleep(0.01)
    finally:
        pipeline.stop()
        assert pipeline.join(20)
        context.destroy(linger=0)
    statuses = pipeline.outbox.ledger.statuses()
    assert {name: (row.inspected, row.missed) for name, row in statuses.items()} == dict.fromkeys(
        NAMES, (FRAMES, {})
    )


def bind(context: Context, endpoint: str) -> Socket:
    return open_socket(context, "pull", endpoint, attach="bind", queue=5, message_bytes_max=1000)


def test_a_path_that_a_living_process_serves_is_refused(tmp_path: Path) -> None:
    """libzmq would take it away without a word; the file that a killed one left is taken over."""
    endpoint = f"ipc://{tmp_path}/x"
    with zmq.Context() as context:
        code = (
            "import sys, time, zmq; s = zmq.Context().socket(zmq.PULL); s.bind(sys.argv[1]); "
            "print('bound', flush=True); time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, endpoint], stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"bound\n"
            with pytest.raises(AddressError, match="another process has it"):
                bind(context, endpoint)
            other.kill()
        bind(context, endpoint).close(0)


def test_what_is_not_a_socket_is_never_replaced(tmp_path: Path) -> None:
    """libzmq would delete a file; a folder it calls an address in use."""
    (tmp_path / "file").write_text("kept")
    with zmq.Context() as context:
        with pytest.raises(AddressError, match="is a file; choose another path"):
            bind(context, f"ipc://{tmp_path}/file")
        with pytest.raises(AddressError, match="is a folder; choose another path"):
            bind(context, f"ipc://{tmp_path}")
        with pytest.raises(AddressError, match="longer than 107 bytes"):
            bind(context, f"ipc://{tmp_path}/{'x' * 100}")
    assert (tmp_path / "file").read_text() == "kept"


def test_frames_arrive_over_ipv6() -> None:
    with zmq.Context() as context:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this computer has no IPv6")
        pull = bind(context, "tcp://[::1]:*")
        port = pull.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2]
        push = open_socket(
            context,
            "push",
            f"tcp://[::1]:{port}",
            attach="connect",
            queue=5,
            message_bytes_max=1000,
        )
        push.send(b"frame")
        assert pull.poll(20_000)
        assert pull.recv() == b"frame"
        push.close(0)
        pull.close(0)
