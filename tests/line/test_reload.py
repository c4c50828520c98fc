"""SIGHUP: what it changes, what it refuses, and what it says to the service manager."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.client.subscriber import Subscriber
from stripwatch.engines.fake import PAINT
from stripwatch.engines.manifest import DefectClass, FakeBehaviour
from stripwatch.testing import FakeCamera
from stripwatch.wire.event import Defect, Status

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

NEW_HASH = "1" * 64


def reload(daemon: Daemon) -> str:
    """Send SIGHUP; what the log says of it once the daemon is ready again."""
    assert daemon.process
    before = len(daemon.log.read_text())
    daemon.read_messages()  # the socket holds ten; more are dropped
    daemon.messages.clear()
    asked_us = time.monotonic_ns() // 1000
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for("RELOADING=1\nMONOTONIC_USEC=")
    told = next(entry for entry in daemon.messages if entry.startswith("RELOADING=1"))
    assert asked_us <= int(told.partition("MONOTONIC_USEC=")[2]) <= time.monotonic_ns() // 1000
    daemon.wait_for("READY=1")
    until_s = time.monotonic() + 10
    while "reloaded" not in (said := daemon.log.read_text()[before:]):
        assert time.monotonic() < until_s, said
    return said


@contextmanager
def listening(daemon: Daemon) -> Iterator[Subscriber]:
    """A subscriber to defects whose subscription has arrived."""
    with Subscriber(f"ipc://{daemon.folder}/out", ("defect.", "status")) as events:
        while not isinstance(events.receive(20), Status):
            pass
        yield events


def painted(class_id: int) -> NDArray[np.uint8]:
    """A frame with a defect of 40 pixels."""
    pixels = np.zeros((32, 64), np.uint8)
    pixels[8:12, 20:30] = PAINT + class_id
    return pixels


def find(camera: FakeCamera, events: Subscriber, seq: int, class_id: int = 1) -> Defect:
    """Send a frame with one defect; the next event that tells of a defect."""
    camera.send("top", "s", seq, painted(class_id))
    while True:
        event = events.receive(20)
        assert event is not None
        if isinstance(event, Defect):
            assert event.frame_seq == seq
            return event


def test_a_new_engine_takes_over_while_the_daemon_runs(daemon: Daemon, camera: FakeCamera) -> None:
    """Events name the new engine from then on; the reload is told to the service manager."""
    daemon.start()
    daemon.wait_for("READY=1")
    with listening(daemon) as events:
        assert find(camera, events, 0).model == "0" * 16
        daemon.make_engine(FakeBehaviour(), engine_hash=NEW_HASH)
        said = reload(daemon)
        assert '"model": "1111111111111111"' in said
        assert '"changes": ["engine 0000000000000000 -> 1111111111111111"]' in said
        assert find(camera, events, 1).model == "1" * 16
    assert daemon.stop() == 0


def test_a_folder_may_be_changed_too(daemon: Daemon, camera: FakeCamera) -> None:
    """`engine.folder` can name another engine."""
    daemon.start()
    daemon.wait_for("READY=1")
    daemon.make_engine(FakeBehaviour(), "other", engine_hash=NEW_HASH)
    daemon.config.write_text(daemon.config.read_text().replace('"engine"', '"other"'))
    with listening(daemon) as events:
        reload(daemon)
        assert find(camera, events, 0).model == "1" * 16
    assert daemon.stop() == 0


def test_thresholds_change_without_an_engine_being_loaded(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """The log speaks of no new engine, and frames are judged anew; other changes are named."""
    daemon.start()
    daemon.wait_for("READY=1")
    text = daemon.config.read_text().replace("queue_events = 20", "queue_events = 21")
    text = text.replace("rebuilds_max = 2", "rebuilds_max = 3")
    daemon.config.write_text(text + '[[inspect.classes]]\nname = "kind1"\nmin_area_px = 41\n')
    with listening(daemon) as events:
        assert find(camera, events, 0).area_px == 40
        said = reload(daemon)
        assert "loading the new engine" not in said
        assert '"changes": ["engine.rebuilds_max 2 -> 3", "publish.queue_events 20 -> 21"]' in said
        assert '"changes": ["kind1.min_area_px 0 -> 41"]' in said
        camera.send("top", "s", 1, painted(1))  # 40 pixels are too few now
        assert find(camera, events, 2, class_id=2).class_id == 2
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda daemon: daemon.config.write_text("[lime]"), "config.toml"),
        (lambda daemon: (daemon.folder / "engine/manifest.json").unlink(), "holds no engine"),
        (
            lambda daemon: daemon.make_engine(
                FakeBehaviour(), classes=(DefectClass(id=1, name="rust"),)
            ),
            "has classes rust, but the one that runs has kind1, kind2",
        ),
        (
            lambda daemon: daemon.make_engine(FakeBehaviour(), frame_shape=(16, 64)),
            "takes 16x64",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_daemon_goes_on(
    daemon: Daemon,
    camera: FakeCamera,
    spoil: object,
    reason: str,
) -> None:
    """The log says why, the old engine goes on, and the daemon is ready again."""
    assert callable(spoil)
    daemon.start()
    daemon.wait_for("READY=1")
    spoil(daemon)
    said = reload(daemon)
    assert "not reloaded; the running engine and settings stay" in said
    assert reason in said
    with listening(daemon) as events:
        assert find(camera, events, 0).model == "0" * 16
    assert daemon.stop() == 0
