"""Arrivals: which messages are frames to inspect, and the counts and faults of all the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from stripwatch.inspect.sequence import Arrival, SequenceTracker
from stripwatch.net.inputs import FrameInput
from stripwatch.stages.overload import Overload
from stripwatch.wire.causes import Cause
from stripwatch.wire.clock import CameraClock
from stripwatch.wire.frame import FrameHeader, FrameId

FAULT_CHARACTERS_MAX = 200  # of a peer's mistake, in the log
CLOCK_AHEAD_MS_MAX = 1000  # of a camera; clocks that are set by NTP differ by milliseconds
CLOCK_BEHIND_MS_MAX = 60_000  # no frame is under way for so long
ROW_FRAMES_MIN = 8  # read without a pause, before they can be the end of a full queue
IDLE_WINDOW_NS = 100_000_000
IDLE_SHARE_MIN = 0.25  # of a thread that keeps up
YEAR_MS = 365.25 * 86_400_000


class Arrivals:
    """Follows the frame numbers of every camera; only the receive thread writes it."""

    def __init__(self, cameras: Sequence[str], overload: Overload) -> None:
        self._overload = overload
        self.trackers = {camera: SequenceTracker() for camera in cameras}
        self._away: dict[str, SequenceTracker] = {}  # of cameras that a reload has removed
        self.rejected: Counter[Cause] = Counter()  # messages outside the coverage identity
        self.rejected_of: Counter[tuple[str, Cause]] = Counter()  # those whose camera is known
        self.clocks: dict[str, CameraClock] = {}  # by camera, as its frames tell
        self.remarks: Counter[tuple[str, Cause]] = Counter()  # frames inspected in spite of a fault
        self.last_faults: dict[Cause, tuple[str, str]] = {}  # endpoint and detail, by cause
        # By endpoint: frames of each camera since its queue was last empty, and before that.
        self._row: dict[str, Counter[str]] = {}
        self._row_before: dict[str, Counter[str]] = {}
        self._idle = _IdleShare(time.monotonic_ns())

    def follow(self, cameras: Sequence[str]) -> None:
        """Take frames of these cameras from now on; one that comes back continues its sessions."""
        for name in self.trackers.keys() - set(cameras):
            self._away[name] = self.trackers[name]
            self._away[name].leave()
        trackers = {
            name: self.trackers.get(name) or self._away.pop(name, None) or SequenceTracker()
            for name in cameras
        }
        self.trackers = trackers  # as a whole: other threads read it

    def arrive(self, frame: FrameHeader | FrameId, frame_input: FrameInput) -> Arrival | None:
        """Follow a frame; None: it is outside the coverage identity, and counted."""
        refusal = frame_input.refusal(frame.camera)
        if refusal is not None:
            self.reject(refusal.cause, frame_input, refusal.detail)
            return None
        tracker = self.trackers.get(frame.camera)
        if tracker is None:
            self.reject(Cause.UNKNOWN_CAMERA, frame_input, repr(frame.camera))
            return None
        if isinstance(frame, FrameHeader) and frame.clock is not None:
            self.clocks[frame.camera] = frame.clock
        arrival = tracker.arrive(frame)
        detail = f"{frame.camera} {frame.session} frame {frame.seq}"
        if arrival.cause in (Cause.LATE, Cause.STRAY):
            self.rejected_of[frame.camera, arrival.cause] += 1
            self.reject(arrival.cause, frame_input, detail)
            return None
        if arrival.cause is Cause.SECOND_SENDER and tracker.rivals is not None:
            first, second = tracker.rivals
            self.fault(
                arrival.cause,
                frame_input,
                f"sessions {first} and {second} both send as camera {frame.camera}; frames of "
                f"{second} are not inspected: give each sender a camera name of its own",
            )
        lost = arrival.lost
        if (
            lost is not None
            and lost.cause is Cause.LOST
            and self._overflowed(frame.camera, frame_input)
        ):
            detail = f"frames came faster than they are read; {frame_input.queue_frames} queued"
            self.fault(Cause.OVERLOAD, frame_input, detail)
            arrival = replace(arrival, lost=replace(lost, cause=Cause.OVERLOAD))
        self._row.setdefault(frame_input.endpoint, Counter())[frame.camera] += 1
        return arrival

    def queue_is_empty(self, endpoint: str) -> None:
        """Nothing waits on an input any more."""
        row = self._row.pop(endpoint, None)
        if row:
            self._row_before[endpoint] = row

    def waited(self, waited_ns: int) -> None:
        """The receive thread had nothing to read for so long."""
        self._idle.add(waited_ns, time.monotonic_ns())

    def receive_ms(self, header: FrameHeader, frame_input: FrameInput) -> float | None:
        """Time from capture to now, by the wall clock; None where the camera's clock is wrong."""
        late_ms = (time.time_ns() - header.t_ns) / 1e6
        if -CLOCK_AHEAD_MS_MAX <= late_ms <= CLOCK_BEHIND_MS_MAX:
            return max(0.0, late_ms)
        self.remark(
            Cause.BAD_CLOCK,
            header.camera,
            frame_input,
            f"t_ns is {_duration(abs(late_ms))} {'behind' if late_ms > 0 else 'ahead of'} this "
            "computer's clock; send nanoseconds since 1970 and synchronize the clocks; "
            "no latency is computed",
        )
        return None

    def remark(self, cause: Cause, camera: str, frame_input: FrameInput, detail: str) -> None:
        """Count a frame that is inspected in spite of a fault."""
        self.remarks[camera, cause] += 1
        self.fault(cause, frame_input, detail)

    def reject(self, cause: Cause, frame_input: FrameInput, detail: str) -> None:
        """Count a message that is outside the coverage identity."""
        self.rejected[cause] += 1
        self.fault(cause, frame_input, detail)

    def fault(self, cause: Cause, frame_input: FrameInput, detail: str) -> None:
        """Keep the latest fault of a cause, for the log."""
        self.last_faults[cause] = (frame_input.endpoint, detail[:FAULT_CHARACTERS_MAX])

    def _overflowed(self, camera: str, frame_input: FrameInput) -> bool:
        """Whether frames were lost because they are read too slowly, not by the network.

        Frames waited for a slot. Or the queue was full just before: half of it was read without a
        pause (libzmq makes room in steps of half a queue). Or the thread has hardly waited for
        messages lately: then senders and the operating system hold frames as well, and where the
        numbers jump says little.
        """
        if frame_input.waits:
            return False
        endpoint = frame_input.endpoint
        rows = self._row if self._row.get(endpoint) else self._row_before
        row = rows.get(endpoint, Counter())[camera]
        now_ns = time.monotonic_ns()
        is_busy = (
            self._overload.explains_loss(endpoint, now_ns)
            or self._idle.share(now_ns) < IDLE_SHARE_MIN
        )
        return row >= max(frame_input.queue_frames / 2, ROW_FRAMES_MIN) or is_busy


class _IdleShare:
    """Share of the last 0.1 to 0.2 s in which a thread waited. Times are in nanoseconds."""

    def __init__(self, now_ns: int) -> None:
        self._start_ns = [now_ns - IDLE_WINDOW_NS, now_ns]  # of the window before, and of this one
        self._waited_ns = [IDLE_WINDOW_NS, 0]

    def add(self, waited_ns: int, now_ns: int) -> None:
        if now_ns - self._start_ns[1] > IDLE_WINDOW_NS:
            self._start_ns = [self._start_ns[1], now_ns]
            self._waited_ns = [self._waited_ns[1], 0]
        self._waited_ns[1] += waited_ns

    def share(self, now_ns: int) -> float:
        return sum(self._waited_ns) / (now_ns - self._start_ns[0])


def _duration(ms: float) -> str:
    if ms >= YEAR_MS:
        return f"{ms / YEAR_MS:.0f} years"
    return f"{ms / 1000:.0f} s"
