"""The deliver thread: a slot's results to events, events to the outbox."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import cv2

from stripwatch.config import Config
from stripwatch.inspect.coverage import Entry, Ledger, Miss, Row, joined, misses_of_rows
from stripwatch.inspect.inspector import Inspector, Output
from stripwatch.outputs.outbox import Outbox
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.latency import LatencyWindow
from stripwatch.stages.slots import Slot, SlotRing
from stripwatch.wire.causes import Cause

STATUS_PERIOD_S = 1.0
IDLE_S = 0.2  # longest wait for a slot, so that the heartbeat continues


class Deliverer:
    """Inspects the slots that the engine has finished and books every frame."""

    def __init__(
        self,
        config: Config,
        ring: SlotRing,
        publisher: Publisher,
        heartbeat: Heartbeat,
    ) -> None:
        self._ring = ring
        self._publisher = publisher
        self._heartbeat = heartbeat
        self._inspector = Inspector(config)
        self.outbox = Outbox(publisher)
        self.ledger = Ledger()
        self.latency = LatencyWindow()
        self._next_tick_s = 0.0

    def run(self, tick: Callable[[], None]) -> None:
        """Deliver until the engine closes the ring; call `tick` once a second."""
        cv2.setNumThreads(1)  # the cores belong to the engine
        self._next_tick_s = time.monotonic() + STATUS_PERIOD_S
        try:
            while not self._ring.done_closed:
                self._heartbeat.beat()
                more_waits = self._publisher.read_subscriptions()
                left_s = self._next_tick_s - time.monotonic()
                slot = self._ring.take_done(0 if more_waits else max(0, min(left_s, IDLE_S)))
                if slot is not None:
                    self._deliver(slot, tick)
                    self._ring.release(slot)
                self._tick_if_due(tick)
            tick()
        finally:
            self._ring.break_off()

    def _tick_if_due(self, tick: Callable[[], None]) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_tick_s:
            tick()
            # After a stop of the process no more than one is due.
            self._next_tick_s = max(self._next_tick_s + STATUS_PERIOD_S, now_s)

    def _deliver(self, slot: Slot, tick: Callable[[], None]) -> None:
        """Publish everything that a slot carries, in order, and then book it as published."""
        self._publisher.read_subscriptions()  # that came while waiting: the first image counts
        entries = joined(slot.entries)  # images that could not be decoded have become misses
        if slot.result is None:
            entries = misses_of_rows(entries, Cause.ENGINE_ERROR)
        outputs: list[Output] = []
        for entry in entries:
            self._heartbeat.beat()
            self._tick_if_due(tick)
            outputs += self._outputs(entry, slot)
        inspected_ns = time.monotonic_ns()
        self.outbox.send(outputs)
        published_ns = time.monotonic_ns()
        for entry in entries:
            if isinstance(entry, Miss):
                self.ledger.book_miss(entry)
            else:
                self.ledger.book_row(entry.header)
                self.latency.add(_latency_ms(entry, slot, inspected_ns, published_ns))

    def _outputs(self, entry: Entry, slot: Slot) -> list[Output]:
        if isinstance(entry, Miss):
            return self._inspector.miss_outputs(entry)
        assert slot.result is not None
        assert slot.model is not None
        return self._inspector.frame_outputs(entry, slot.frames, slot.result, slot.model)


def _latency_ms(row: Row, slot: Slot, inspected_ns: int, published_ns: int) -> tuple[float, ...]:
    """Latency of one frame in every stage, in the order of `Stage`; NaN where it is unknown."""
    stages_ns = (
        slot.submitted_ns - row.received_ns,
        slot.done_ns - slot.submitted_ns,
        inspected_ns - slot.done_ns,
        published_ns - inspected_ns,
        published_ns - row.received_ns,
    )
    *stages_ms, since_receipt_ms = (stage_ns / 1e6 for stage_ns in stages_ns)
    receive_ms = math.nan if row.receive_ms is None else row.receive_ms
    return (receive_ms, *stages_ms, receive_ms + since_receipt_ms)
