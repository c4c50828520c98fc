"""The status message, and the log lines of faults that begin and end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from stripwatch.inspect.coverage import saturated
from stripwatch.inspect.light import LightFollower
from stripwatch.net.door import Door
from stripwatch.outputs.publish import Publisher
from stripwatch.service.faults import FaultKey, FaultStates
from stripwatch.service.health import Facts, Health
from stripwatch.service.lateness import Lateness, own_latency_ms
from stripwatch.service.rate import Rate
from stripwatch.service.stopped_cameras import StoppedCameras
from stripwatch.stages.engine_loop import EngineLoop
from stripwatch.stages.outbox import Outbox
from stripwatch.stages.receive import Receiver
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import CameraStatus, Status

SILENT_S_MAX = 10.0  # after the start, without a frame of a camera of the configuration

_EVENTS = {  # log events of causes for which no frame is missed
    Cause.LATE: "messages rejected",
    Cause.STRAY: "messages rejected",
    Cause.BAD_OPTION: "header keys ignored",
    Cause.BAD_CLOCK: "camera clock is wrong",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted since the start; the camera is "" where it is unknown."""

    inspected: Counter[str] = field(default_factory=Counter)  # frames, by camera
    missed: Counter[FaultKey] = field(default_factory=Counter)  # frames
    rejected: Counter[FaultKey] = field(default_factory=Counter)  # messages
    remarks: Counter[FaultKey] = field(default_factory=Counter)  # frames inspected all the same


class Telemetry:
    """Builds a status once a second from the counters of the threads.

    Runs in the outbox thread and only reads what the other threads count.
    """

    def __init__(
        self,
        receiver: Receiver,
        engine_loop: EngineLoop,
        outbox: Outbox,
        publisher: Publisher,
        light: LightFollower,
        stop: threading.Event,
        failure: Callable[[], BaseException | None],
        door: Door | None = None,
    ) -> None:
        self._receiver = receiver
        self._engine_loop = engine_loop
        self._outbox = outbox
        self._publisher = publisher
        self._light = light
        self._stop = stop
        self._failure = failure  # what ends the daemon
        self._door = door
        self._log = structlog.get_logger()
        self._started_s = time.monotonic()
        self._inspected_rate = Rate(self._started_s)
        self._fault_states = FaultStates()
        self._lateness = Lateness()
        self._known_s = dict.fromkeys(receiver.arrivals.trackers, self._started_s)
        self._reported: frozenset[str] = frozenset()  # silent cameras
        self._stopped_cameras = StoppedCameras()
        self.health = Health()
        # For other threads; each is replaced as a whole.
        self.latest: Status | None = None
        self.counts = Counts()
        self.unseen_cameras = tuple(receiver.arrivals.trackers)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras of the configuration."""
        return tuple(self._receiver.arrivals.trackers)

    def tick(self) -> None:
        """Publish a status and log what has changed since the last one."""
        counts = self.counts = self._count()
        faults = counts.missed + counts.rejected
        self._log_changes(faults + counts.remarks)
        present = self._present()
        self.unseen_cameras = tuple(name for name in self.cameras if name not in present)
        status = self._status(faults)
        self._outbox.send_status(status)
        self.latest = status

    def _count(self) -> Counts:
        """What the threads have counted since the start."""
        ledger, arrivals = self._outbox.ledger, self._receiver.arrivals
        rejected: Counter[FaultKey] = Counter()
        known: Counter[Cause] = Counter()
        # The receive thread adds keys meanwhile: a list is taken in one step.
        for (camera, cause), count in list(arrivals.rejected_of.items()):
            rejected[camera, cause] += count
            known[cause] += count
        for cause, count in list(arrivals.rejected.items()):
            if count > known[cause]:
                rejected["", cause] += count - known[cause]
        for cause, count in self._door.rejected.items() if self._door else ():
            rejected["", cause] += count
        remarks = Counter(dict(list(arrivals.remarks.items())))
        inspected = Counter(ledger.inspected_of)
        return Counts(inspected, Counter(ledger.missed), rejected, remarks)

    def _log_changes(self, faults: Counter[FaultKey]) -> None:
        for change in self._fault_states.update(faults):
            fault = {"cause": str(change.cause), "camera": change.camera}
            if change.ended:
                self._log.info("fault ended", **fault, count=change.count)
            else:
                endpoint, detail = self._receiver.fault_of(change.cause)
                refused = self._door.fault_of(change.cause) if self._door else None
                if refused and not endpoint:
                    endpoint, detail = refused
                self._log.warning(
                    _EVENTS.get(change.cause, "frames missed")
                    if change.camera
                    else "connections refused"
                    if refused
                    else "messages rejected",
                    **fault,
                    endpoint=endpoint,
                    detail=detail,
                )

    def _overdue_cameras(self) -> tuple[str, ...]:
        """The cameras from which nothing has come for too long; each is logged once."""
        now_s = time.monotonic()
        self._known_s = {camera: self._known_s.get(camera, now_s) for camera in self.cameras}
        overdue = tuple(
            camera
            for camera in self.unseen_cameras
            if now_s - self._known_s[camera] >= SILENT_S_MAX
        )
        for camera in overdue:
            if camera not in self._reported:
                self._log_silence(camera)
        self._reported = frozenset(overdue)
        return overdue

    def _log_silence(self, camera: str) -> None:
        self._log.warning(
            "nothing has come from a camera",
            camera=camera,
            endpoints=list(self._receiver.endpoints),
            detail=f"check that camera {camera} runs, that its endpoint and pattern (pub to "
            f"sub, push to pull) are those of the configuration, and its topic frame.{camera}",
        )

    def _present(self) -> dict[str, tuple[str, int]]:
        """Session and last frame of the cameras that are in the configuration."""
        cameras = self.cameras
        return {
            camera: place
            for camera, place in self._outbox.ledger.present().items()
            if camera in cameras
        }

    def _facts(self) -> Facts:
        failure = self._failure()
        stopped = self._stopped_cameras.update(self._present(), time.monotonic())
        return Facts(
            stopping=self._stop.is_set(),
            failure=str(failure) if failure else "",
            engine_fault=self._engine_loop.fault,
            journal_fault=self._outbox.fault,
            overloaded=self._fault_states.cameras(Cause.OVERLOAD),
            late_ms=self._lateness.late_ms,
            second_senders=self._second_senders(),
            silent_cameras=self._overdue_cameras(),
            stopped_cameras=stopped,
            light_faults=self._light.reasons(),
        )

    def _second_senders(self) -> tuple[tuple[str, str], ...]:
        trackers = self._receiver.arrivals.trackers
        rivals = {
            camera: trackers[camera].rivals
            for camera in self._fault_states.cameras(Cause.SECOND_SENDER)
            if camera in trackers
        }
        return tuple((camera, names[1]) for camera, names in rivals.items() if names)

    def _status(self, faults: Counter[FaultKey]) -> Status:
        now_s = time.monotonic()
        ledger = self._outbox.ledger
        latency_ms = self._outbox.latency.take()
        own_ms = own_latency_ms(latency_ms)
        if self._lateness.update(own_ms):
            late = self._lateness.is_late
            log = self._log.warning if late else self._log.info
            log("frames are late" if late else "frames are in time again", own_ms=round(own_ms))
        drops: Counter[Cause] = Counter()
        for (_, cause), count in faults.items():
            drops[cause] += count
        self.health.update(self._facts())
        state, reasons = self.health.latest
        return Status(
            stream=self._outbox.stream,
            t_ns=time.time_ns(),
            state=state,
            reasons=reasons,
            uptime_s=round(now_s - self._started_s, 3),
            model=self._engine_loop.model.name,
            frames_per_s=round(self._inspected_rate.update(ledger.inspected, now_s), 2),
            frames_inspected=ledger.inspected,
            latency_ms=latency_ms,
            drops=saturated(drops),
            cameras=self._cameras(),
            silent_cameras=self.unseen_cameras,
            subscribers=self._publisher.subscriptions,
            last_event_seq=self._outbox.last_seq,
            images_dropped=self._outbox.images_dropped,
            pictures_dropped=self._outbox.pictures_dropped,
        )

    def _cameras(self) -> dict[str, CameraStatus]:
        """The counts of every camera seen, with what is wrong about its messages."""
        arrivals = self._receiver.arrivals
        trackers = arrivals.trackers
        cameras = {}
        for name, counts in self._outbox.ledger.statuses().items():
            if name not in trackers:  # a reload has removed it
                continue
            rivals = trackers[name].rivals
            light, light_faults = self._light.status(name)
            cameras[name] = msgspec.structs.replace(
                counts,
                late=arrivals.rejected_of[name, Cause.LATE],
                stray=arrivals.rejected_of[name, Cause.STRAY],
                second_sender=rivals and rivals[1],
                light=light,
                light_faults=light_faults,
                clock=arrivals.clocks.get(name),
            )
        return cameras
