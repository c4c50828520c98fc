"""A thread's heartbeat: late after seconds of silence, and after minutes while it loads."""

from __future__ import annotations

import pytest

from stripwatch.stages import heartbeat
from stripwatch.stages.heartbeat import LOADING_S_MAX, SILENT_S_MAX, Heartbeat


class Clock:
    """In place of the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_load_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence beyond the limit is late; beyond the other one while an engine loads; not after."""
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    beat = Heartbeat()
    clock.now += SILENT_S_MAX - 0.1
    assert not beat.is_late()
    clock.now += 0.2
    assert beat.is_late()
    with beat.loading():
        clock.now += LOADING_S_MAX - 0.1
        assert not beat.is_late()
        clock.now += 0.2
        assert beat.is_late()
    assert not beat.is_late()
    clock.now += SILENT_S_MAX + 0.1
    assert beat.is_late()


def test_a_load_that_fails_ends_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that cannot be loaded leaves the usual limit behind."""
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    beat = Heartbeat()
    with pytest.raises(OSError, match="x"), beat.loading():
        raise OSError("x")
    clock.now += SILENT_S_MAX + 0.1
    assert beat.is_late()
