"""Signals as events: a handler may set one wherever it interrupts its thread."""

from __future__ import annotations

import os
import signal
import threading
import time

from stripwatch.service.signals import SignalEvent, stop_on_signals


def test_a_signal_in_the_middle_of_a_wait_stops_it() -> None:
    """A `threading.Event` holds its lock there, and the handler would wait for it for ever."""
    with stop_on_signals() as stop:
        with getattr(stop, "_cond"):  # noqa: B009 - as `threading.Event.wait` does
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)


def test_a_wait_ends_with_its_timeout_or_when_set() -> None:
    event = SignalEvent()
    assert not event.wait(0.01)
    threading.Timer(0.05, event.set).start()
    assert event.wait()
    assert event.is_set()
    started_s = time.monotonic()
    assert event.wait(60)
    assert time.monotonic() - started_s < 30
