"""Several endpoints and cameras on one daemon: SUB and PULL, bind and connect."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from stripwatch.config import Batch, Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.engines.fake import fake_factory
from stripwatch.inspect.model import Model
from stripwatch.pipeline import Pipeline
from stripwatch.testing import CLASSES, FakeCamera

SHAPE = (8, 32)
FRAMES = 50
NAMES = ("sub-bind", "sub-connect", "pull-bind", "pull-connect")


def test_every_pattern_and_attachment_works_side_by_side(tmp_path: Path) -> None:
    """Four cameras on four endpoints; every frame of each is inspected."""
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
    )
    pipeline = Pipeline(config, Model("f" * 64, CLASSES), fake_factory())
    context = zmq.Context()
    try:
        pipeline.start()
        cameras = {}
        for entry, name in zip(inputs, NAMES, strict=True):
            socket = context.socket(zmq.XPUB if entry.pattern == "sub" else zmq.PUSH)
            if entry.attach == "bind":
                socket.connect(entry.endpoint)
            else:
                socket.bind(entry.endpoint)
            if entry.pattern == "sub":
                assert socket.poll(20_000), "the daemon has not subscribed"
                socket.recv()
            cameras[name] = FakeCamera(socket, SHAPE)
        for seq in range(FRAMES):
            for name, camera in cameras.items():
                camera.send(name, "s", seq)
        until_s = time.monotonic() + 20
        while pipeline.deliverer.ledger.inspected < FRAMES * len(NAMES):
            assert time.monotonic() < until_s, pipeline.deliverer.ledger.statuses()
            time.sleep(0.01)
    finally:
        pipeline.stop()
        assert pipeline.join(20)
        context.destroy(linger=0)
    statuses = pipeline.deliverer.ledger.statuses()
    assert {name: (row.inspected, row.missed) for name, row in statuses.items()} == dict.fromkeys(
        NAMES, (FRAMES, {})
    )
