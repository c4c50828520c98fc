"""A line whose device fails so that, by its maker, only a new process can use it again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stripwatch.config.sections import Batch
from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.fake import FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import BrokenDeviceError, DeviceError, ExitCode, ModelError
from stripwatch.service.exits import guarded
from stripwatch.testing import FakeLine, fake_line

BATCH = Batch(rows=1, wait_ms=1)


def break_at_the_second_batch(batch: int) -> None:
    if batch == 2:
        raise BrokenDeviceError("CUDA: an illegal memory access was encountered")


class Device:
    """Makes engines: the first one's device breaks; `later` is what making another one raises."""

    def __init__(self, later: Exception | None) -> None:
        self.made = 0
        self._later = later

    def __call__(self, slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        assert beside is None
        self.made += 1
        if self.made == 1:
            return FakeEngine(slots, FakeBehaviour(), fault=break_at_the_second_batch)
        if self._later is not None:
            raise self._later
        return FakeEngine(slots, FakeBehaviour())


def send(line: FakeLine, count: int) -> None:
    for seq in range(count):
        line.camera.send("top", "s", seq)
        line.wait_for_frame("top", "s", seq)


@pytest.mark.parametrize(
    "again",
    [
        BrokenDeviceError("CUDA: an illegal memory access was encountered"),
        DeviceError("CUDA: out of memory"),
        ModelError("TensorRT cannot load inspection.plan"),  # whose exit code forbids a restart
    ],
)
def test_a_rebuild_that_fails_ends_the_process_at_once(again: Exception) -> None:
    """With the exit code of the device, after one try and not after `rebuilds_max`."""
    device = Device(again)
    with fake_line(factory=device, batch=BATCH, rebuilds_max=1000) as line:
        send(line, 2)
        line.wait(lambda: line.pipeline.failure is not None)
    failure = line.pipeline.failure
    assert device.made == 2
    assert isinstance(failure, BrokenDeviceError)
    assert "only a new process" in str(failure)

    def command() -> ExitCode:
        raise failure

    assert guarded(command) == ExitCode.DEVICE


def test_a_rebuild_that_succeeds_goes_on() -> None:
    """As it often does in practice: a fault costs a gap."""
    device = Device(None)
    with fake_line(factory=device, batch=BATCH) as line:
        send(line, 20)
        assert line.pipeline.failure is None
    assert device.made == 2


def test_other_faults_are_retried_as_often_as_allowed() -> None:
    """A device without memory, for one, may have some a minute later."""
    made = 0

    def make(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:  # noqa: ARG001
        nonlocal made
        made += 1
        if 1 < made < 6:
            raise DeviceError("CUDA: out of memory")
        return FakeEngine(slots, FakeBehaviour(fail_every=2 if made == 1 else 0))

    with fake_line(factory=make, batch=BATCH, rebuild_delay_s_max=0.01) as line:
        send(line, 10)
        line.wait(lambda: made == 6)
        assert line.pipeline.failure is None
