"""The engine thread: keeps two slots in flight, swaps the engine, rebuilds it after a fault."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

import structlog

from stripwatch.config.sections import EngineSection
from stripwatch.engines.base import IN_FLIGHT, Engine, EngineFactory
from stripwatch.errors import BrokenDeviceError, DeviceError, ModelError, StripwatchError
from stripwatch.inspect.model import Model
from stripwatch.stages.engine_swap import Swap
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.slots import Slot, SlotRing

IDLE_S = 0.2  # longest wait for a slot, so that the heartbeat continues
DONE_POLL_S = 0.0005  # between looks whether a batch is done, while a second could be submitted
REBUILD_DELAY_S_MIN = 0.1


class EngineLoop:
    """Owns the engine; makes it, runs it, swaps it, closes it, all in its own thread.

    Only the engine thread writes the attributes and reads the mailbox. Other threads read `model`,
    `ready`, `failure` and `fault`, and ask for changes through `set_model` and `swap`.
    """

    def __init__(
        self,
        model: Model,
        factory: EngineFactory,
        settings: EngineSection,
        ring: SlotRing,
        heartbeat: Heartbeat,
    ) -> None:
        self.model = model  # of the next batch
        self._factory = factory
        self._settings = settings
        self._ring = ring
        self._heartbeat = heartbeat
        self._log = structlog.get_logger()
        self._engine: Engine | None = None
        self._in_flight: deque[tuple[Slot, Engine | None]] = deque()
        self._mailbox: queue.SimpleQueue[Model | Swap] = queue.SimpleQueue()
        self._swap: Swap | None = None  # until the old engine is handed back
        self._old: Engine | None = None  # was replaced, and has batches in flight
        self._faults = 0  # in a row
        self._broken = False  # one of them was such that only a new process can use the device
        self.ready = threading.Event()  # the engine is warm
        self.failure: StripwatchError | None = None  # after which no rebuild is tried
        self.fault = ""  # why the engine is being rebuilt

    def set_model(self, model: Model) -> None:
        """Any thread: take other thresholds and minimum areas from the next batch on."""
        self._mailbox.put(model)

    def swap(self, model: Model, factory: EngineFactory) -> Swap:
        """Any thread: load an engine beside the one that runs, and change to it when it is warm.

        The swap ends with an error while another is under way or the engine is being rebuilt.
        """
        swap = Swap(model, factory)
        self._mailbox.put(swap)
        return swap

    def run(self) -> None:
        """Run slots until the receiver closes the ring.

        Raises:
            ModelError: the engine cannot be loaded.
            DeviceError: the device failed more often in a row than `rebuilds_max`, or only a new
                process can use it again.
        """
        try:
            self._engine = self._make()
            self.ready.set()
            self._run_slots()
        except StripwatchError as error:
            self.failure = error  # the main thread stops the daemon; until then frames are gaps
            while not self._ring.ready_closed:
                self._skip_slots(IDLE_S)
            raise
        finally:
            self._ring.close_done()
            self._close_engines("the daemon stops")
            self._read_mailbox()  # a swap that nobody takes any more is refused

    def _make(self) -> Engine:
        with self._heartbeat.loading():
            return self._factory([slot.frames for slot in self._ring.slots])

    def _run_slots(self) -> None:
        while self._in_flight or not self._ring.ready_closed:
            self._heartbeat.beat()
            try:
                slot = self._next_slot()
                self._read_mailbox()
                self._change_engine()
                if slot is not None:
                    self._submit(slot)
                elif self._in_flight:
                    self._finish_oldest()
            except DeviceError as error:
                self._rebuild(error)

    def _next_slot(self) -> Slot | None:
        """A slot to submit; None when it is time to finish the oldest, or when there is none.

        A slot that becomes ready while another is computed is submitted at once, so that its
        frames are copied meanwhile. No heartbeat while waiting: an engine that hangs must starve
        the watchdog.
        """
        if len(self._in_flight) == IN_FLIGHT or self._ring.ready_closed:
            return None
        if not self._in_flight:
            return self._ring.take_ready(IDLE_S)
        oldest, engine = self._in_flight[0]
        slot = self._ring.take_ready(0)
        while slot is None and not self._ring.ready_closed:
            if not oldest.rows or engine is None or engine.done(oldest.index):
                break
            slot = self._ring.take_ready(DONE_POLL_S)
        return slot

    def _submit(self, slot: Slot) -> None:
        self._in_flight.append((slot, self._engine))
        slot.model = model = self.model
        slot.submitted_ns = time.monotonic_ns()
        if slot.rows and self._engine is not None:  # a slot without rows only carries misses
            self._engine.submit(slot.index, slot.rows, model.thresholds)

    def _finish_oldest(self) -> None:
        slot, engine = self._in_flight[0]
        if slot.rows and engine is not None:
            slot.result = engine.wait(slot.index)
            self._faults, self._broken = 0, False
        self._in_flight.popleft()
        slot.done_ns = time.monotonic_ns()
        self._ring.finish(slot)

    def _read_mailbox(self) -> None:
        """Take the changes that other threads ask for: this moment, between two batches."""
        while not self._mailbox.empty():
            request = self._mailbox.get()
            if isinstance(request, Model):
                self.model = request
            elif self._engine is None:
                request.refuse("the engine is being rebuilt; ask again when it runs")
            elif self._swap is not None:
                request.refuse("another engine is being loaded; ask again when it runs")
            else:
                self._swap = request
                request.start([slot.frames for slot in self._ring.slots], self._engine)

    def _change_engine(self) -> None:
        """Take the engine of a swap once it is warm; give back the old once it is idle."""
        swap = self._swap
        if swap is None:
            return
        engine = swap.take()
        if engine is not None:
            self._old, self._engine = self._engine, engine
            self.model, self._factory = swap.model, swap.factory
        old = self._old
        if old is not None and all(engine is not old for _, engine in self._in_flight):
            self._old = self._swap = None
            swap.retire(old)
        elif swap.over.is_set():  # failed; App logs the reason
            self._swap = None

    def _rebuild(self, error: DeviceError) -> None:
        """Give up the slots in flight and make the engine anew, with growing, bounded delay.

        After an error that, by the device's maker, only a new process can get over, one try is
        made; where it fails, the process ends, for its supervisor has a new one sooner.
        Frames that arrive in the meantime are handed on without a result and so become gaps.
        """
        while self._in_flight:
            self._ring.finish(self._in_flight.popleft()[0])
        rebuilding = True
        while rebuilding and not self._ring.ready_closed:
            self.fault = str(error) or "the device failed"
            self._close_engines(f"the device failed: {error}")
            self._faults += 1
            self._broken |= isinstance(error, BrokenDeviceError)
            if self._broken and self._faults > 1:
                raise BrokenDeviceError(f"only a new process can use the device again: {error}")
            if self._faults > self._settings.rebuilds_max:
                raise DeviceError(f"gave up after {self._faults} faults in a row: {error}")
            delay_s = min(
                REBUILD_DELAY_S_MIN * 2.0 ** (self._faults - 1), self._settings.rebuild_delay_s_max
            )
            self._log.error("engine failed", error=str(error), rebuild_in_s=delay_s)
            self._skip_slots(delay_s)
            try:
                self._engine = self._make()
                rebuilding = False
            except DeviceError as again:
                error = again
            except ModelError as again:  # a broken device can make a library refuse any engine
                if not self._broken:
                    raise
                error = DeviceError(str(again))
        self.fault = ""

    def _close_engines(self, reason: str) -> None:
        """Close whatever runs, was replaced or is being loaded: they may share a device."""
        swap, self._swap = self._swap, None
        if swap is not None:
            if self._old is not None:
                swap.retire(self._old)
            else:
                while not swap.abandon(reason, timeout_s=DONE_POLL_S):
                    self._skip_slots(IDLE_S)
            swap.over.wait()
        if self._engine is not None:
            self._engine.close()
        self._engine = self._old = None

    def _skip_slots(self, delay_s: float) -> None:
        """Hand slots on without a result for a while."""
        until_s = time.monotonic() + delay_s
        while (left_s := until_s - time.monotonic()) > 0 and not self._ring.ready_closed:
            self._heartbeat.beat()
            self._read_mailbox()
            slot = self._ring.take_ready(min(left_s, IDLE_S))
            if slot is not None:
                self._ring.finish(slot)
