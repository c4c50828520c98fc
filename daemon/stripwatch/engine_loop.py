"""The engine thread: keeps two slots in flight, and rebuilds the engine when the device fails."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
import structlog
from numpy.typing import NDArray

from stripwatch.config import EngineSection
from stripwatch.engines.base import Engine, EngineFactory
from stripwatch.errors import DeviceError, StripwatchError
from stripwatch.heartbeat import Heartbeat
from stripwatch.slots import IN_FLIGHT, Slot, SlotRing

IDLE_S = 0.2  # longest wait for a slot, so that the heartbeat goes on
REBUILD_DELAY_S_MIN = 0.1


class EngineLoop:
    """Owns the engine; makes it, runs it, closes it, all in its own thread."""

    def __init__(
        self,
        factory: EngineFactory,
        settings: EngineSection,
        thresholds: NDArray[np.float32],
        ring: SlotRing,
        heartbeat: Heartbeat,
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._thresholds = thresholds
        self._ring = ring
        self._heartbeat = heartbeat
        self._log = structlog.get_logger()
        self._engine: Engine | None = None
        self._in_flight: deque[Slot] = deque()
        self._faults = 0  # in a row
        self.ready = threading.Event()  # the engine is warm
        self.failure: StripwatchError | None = None  # what no rebuild could mend
        self.rebuilding = False

    def run(self) -> None:
        """Run slots until the receiver closes the ring.

        Raises:
            ModelError: the engine cannot be loaded.
            DeviceError: the device failed more often in a row than `rebuilds_max`.
        """
        try:
            self._engine = self._make()
            self.ready.set()
            self._run_slots()
        except StripwatchError as error:
            self.failure = error  # the main thread stops the daemon; until then frames are gaps
            while not self._ring.ready_closed:
                self._pass_on(IDLE_S)
            raise
        finally:
            self._ring.close_done()
            if self._engine is not None:
                self._engine.close()

    def _make(self) -> Engine:
        return self._factory([slot.frames for slot in self._ring.slots])

    def _run_slots(self) -> None:
        ring, in_flight = self._ring, self._in_flight
        while in_flight or not ring.ready_closed:
            self._heartbeat.beat()
            slot = None
            if len(in_flight) < IN_FLIGHT and not ring.ready_closed:
                # Wait for a new slot only while none is in flight, or a result would lie about.
                slot = ring.take_ready(0 if in_flight else IDLE_S)
            try:
                if slot is not None:
                    self._submit(slot)
                elif in_flight:
                    self._finish_oldest()
            except DeviceError as error:
                self._rebuild(error)

    def _submit(self, slot: Slot) -> None:
        self._in_flight.append(slot)
        slot.submitted_ns = time.monotonic_ns()
        if slot.rows and self._engine is not None:  # a slot without rows only carries misses
            self._engine.submit(slot.index, slot.rows, self._thresholds)

    def _finish_oldest(self) -> None:
        slot = self._in_flight[0]
        if slot.rows and self._engine is not None:
            slot.result = self._engine.wait(slot.index)
            self._faults = 0
        self._in_flight.popleft()
        slot.done_ns = time.monotonic_ns()
        self._ring.finish(slot)

    def _rebuild(self, error: DeviceError) -> None:
        """Give up the slots in flight and make the engine anew, with growing, bounded delay.

        Frames that arrive in the meantime are passed on without a result and so become gaps.
        """
        while self._in_flight:
            self._ring.finish(self._in_flight.popleft())
        self.rebuilding = True
        while self.rebuilding and not self._ring.ready_closed:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            self._faults += 1
            if self._faults > self._settings.rebuilds_max:
                raise DeviceError(f"gave up after {self._faults} faults in a row: {error}")
            delay_s = min(
                REBUILD_DELAY_S_MIN * 2.0 ** (self._faults - 1), self._settings.rebuild_delay_s_max
            )
            self._log.error("engine failed", error=str(error), rebuild_in_s=delay_s)
            self._pass_on(delay_s)
            try:
                self._engine = self._make()
                self.rebuilding = False
            except DeviceError as again:
                error = again
        self.rebuilding = False

    def _pass_on(self, delay_s: float) -> None:
        """Hand slots on without a result for a while."""
        until_s = time.monotonic() + delay_s
        while (left_s := until_s - time.monotonic()) > 0 and not self._ring.ready_closed:
            self._heartbeat.beat()
            slot = self._ring.take_ready(min(left_s, IDLE_S))
            if slot is not None:
                self._ring.finish(slot)
