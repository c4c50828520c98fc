"""The status message, and the log lines of faults that begin and end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Literal

import structlog

from stripwatch.outputs.publish import Publisher
from stripwatch.service.faults import FaultKey, FaultStates
from stripwatch.stages.deliver import Deliverer
from stripwatch.stages.engine_loop import EngineLoop
from stripwatch.stages.receive import Receiver
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Status

State = Literal["running", "overload", "degraded", "stopping"]


class Telemetry:
    """Builds a status once a second from the counters of the threads.

    Runs in the deliver thread and only reads what the other threads count.
    """

    def __init__(
        self,
        receiver: Receiver,
        engine_loop: EngineLoop,
        deliverer: Deliverer,
        publisher: Publisher,
        stop: threading.Event,
    ) -> None:
        self._receiver = receiver
        self._engine_loop = engine_loop
        self._deliverer = deliverer
        self._publisher = publisher
        self._stop = stop
        self._log = structlog.get_logger()
        self._started_s = self._last_s = time.monotonic()
        self._last_inspected = 0
        self._fault_states = FaultStates()
        self.latest: Status | None = None

    def tick(self) -> None:
        """Publish a status and log what has changed since the last one."""
        faults = self._faults()
        self._log_changes(faults)
        status = self._status(faults)
        self._deliverer.outbox.send([status])
        self.latest = status

    def _faults(self) -> Counter[FaultKey]:
        """Frames missed and messages rejected since the start, by camera ("" if unknown)."""
        faults = Counter(self._deliverer.ledger.missed)
        for cause, count in list(self._receiver.rejected.items()):
            faults["", cause] += count
        return faults

    def _log_changes(self, faults: Counter[FaultKey]) -> None:
        for change in self._fault_states.update(faults):
            fault = {"cause": str(change.cause), "camera": change.camera}
            if change.ended:
                self._log.info("fault ended", **fault, count=change.count)
            else:
                endpoint, detail = self._receiver.last_faults.get(change.cause, ("", ""))
                event = "frames missed" if change.camera else "messages rejected"
                self._log.warning(event, **fault, endpoint=endpoint, detail=detail)

    def _state(self) -> State:
        if self._stop.is_set():
            return "stopping"
        if self._engine_loop.rebuilding:
            return "degraded"
        if self._fault_states.is_under_way(Cause.OVERLOAD):
            return "overload"
        return "running"

    def _status(self, faults: Counter[FaultKey]) -> Status:
        now_s = time.monotonic()
        ledger = self._deliverer.ledger
        frames_per_s = (ledger.inspected - self._last_inspected) / max(now_s - self._last_s, 1e-3)
        self._last_inspected, self._last_s = ledger.inspected, now_s
        drops: Counter[Cause] = Counter()
        for (_, cause), count in faults.items():
            drops[cause] += count
        return Status(
            stream=self._deliverer.outbox.stream,
            t_ns=time.time_ns(),
            state=self._state(),
            uptime_s=round(now_s - self._started_s, 3),
            model=self._engine_loop.model.name,
            frames_per_s=round(frames_per_s, 2),
            frames_inspected=ledger.inspected,
            latency_ms=self._deliverer.latency.take(),
            drops=dict(drops),
            cameras=ledger.statuses(),
            subscribers=self._publisher.subscriptions,
            last_event_seq=self._deliverer.outbox.last_seq,
        )
