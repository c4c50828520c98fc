"""What the statuses say about now, the last minute and hour, and what nobody looks at; pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from stripwatch.page.points import Point, finite, together
from stripwatch.wire.event import CameraStatus, State, Status

SILENT_S_MAX = 3.0  # without a status; without a frame of one camera while others send
STANDSTILL_S_MAX = 5.0  # without a frame of any camera
MISSED_S_MAX = 5.0  # after the last missed frame
SPEED_S = 5.0
HOUR_STEP_S = 10
POINTS = 360  # of an hour
SECONDS = 60

DARK_KINDS = ("dim", "segment")  # faults of the light under which defects do not show

What = Literal["daemon", "failed", "missed", "camera", "no_frames", "dark"]


class Blind(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not inspected."""

    what: What
    camera: str | None
    message: str
    since_ns: int
    metres: float | None  # None: not known


@dataclass(slots=True)
class _CameraNow:
    last_frame_seq: int = -1
    session: str = ""
    frames: int = 0  # seen since this program watches, inspected or missed
    changed_ns: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    dark_since_ns: int | None = None
    dark_since_frames: int = 0
    dark_text: str = ""


@dataclass(slots=True)
class _Misses:
    """A time in which frames are missed again and again."""

    since_ns: int
    last_ns: int
    frames: Counter[str] = field(default_factory=Counter)  # by camera
    causes: Counter[str] = field(default_factory=Counter)


class Watch:
    """Follows the statuses of a daemon. Times are Unix nanoseconds of this computer."""

    def __init__(self, frame_m: float, now_ns: int, *, has_key: bool = False) -> None:
        """Begin to watch a line whose frames are so many metres long.

        `has_key`: the daemon looks at our key, and answers nobody whom it does not let in.
        """
        self._frame_m = frame_m
        self._has_key = has_key
        self._began_ns = now_ns
        self._cameras: dict[str, _CameraNow] = {}
        self._misses: _Misses | None = None
        self._failed_since_ns: int | None = None
        self._speeds: deque[tuple[int, dict[str, int]]] = deque()
        self._minute: deque[Point] = deque(maxlen=SECONDS)
        self._hour: deque[Point] = deque(maxlen=POINTS)
        self._gathered: list[Point] = []
        self.status: Status | None = None
        self.status_ns = 0

    def add(self, status: Status, now_ns: int, defects: int) -> None:
        """Take in a status, and how many defects there were since the one before."""
        missed = 0
        for name, camera in status.cameras.items():
            missed += self._add_camera(name, camera, now_ns)
        if self._misses and now_ns - self._misses.last_ns > MISSED_S_MAX * 1e9:
            self._misses = None
        if status.state is not State.FAILED:
            self._failed_since_ns = None
        elif self._failed_since_ns is None:
            self._failed_since_ns = now_ns
        self.status, self.status_ns = status, now_ns
        self._speeds.append((now_ns, {name: one.frames for name, one in self._cameras.items()}))
        while self._speeds[0][0] < now_ns - SPEED_S * 1e9:
            self._speeds.popleft()
        self._add_point(status, now_ns, missed, defects)

    @property
    def speed_m_per_min(self) -> float | None:
        """Of the camera with most frames in the last seconds; None: not known."""
        if len(self._speeds) < 2:
            return None
        (first_ns, before), (last_ns, after) = self._speeds[0], self._speeds[-1]
        frames = max((after[name] - before.get(name, after[name]) for name in after), default=0)
        return round(frames * self._frame_m * 60e9 / (last_ns - first_ns), 2)

    def status_age_s(self, now_ns: int) -> float | None:
        """How long ago the last status came."""
        return None if self.status is None else max(0.0, (now_ns - self.status_ns) / 1e9)

    def blind(self, now_ns: int) -> list[Blind]:
        """What is not inspected now, the worst first."""
        status_ns = self.status_ns or self._began_ns
        if now_ns - status_ns > SILENT_S_MAX * 1e9:
            return [
                Blind(
                    what="daemon",
                    camera=None,
                    message=self._silence,
                    since_ns=status_ns,
                    metres=None,
                )
            ]
        found: list[Blind] = []
        if self._failed_since_ns is not None and self.status is not None:
            reasons = "; ".join(map(str, self.status.reasons))
            found.append(
                Blind(
                    what="failed",
                    camera=None,
                    message=f"{self.status.state}: {reasons}" if reasons else self.status.state,
                    since_ns=self._failed_since_ns,
                    metres=None,
                )
            )
        found += self._missed()
        found += self._silent(now_ns)
        found += self._dark()
        return found

    @property
    def _silence(self) -> str:
        text = "the daemon does not answer: nothing is known to be inspected"
        if self._has_key and self.status is None:
            text += "; check that it runs, and that it grants this page's key the events"
        return text

    def chart(self, span: Literal["minute", "hour"]) -> dict[str, Any]:
        """The last minute or hour as columns of equal length."""
        points = self._minute if span == "minute" else self._hour
        names = list(Point.__struct_fields__)
        return {
            "span": span,
            "step_s": 1 if span == "minute" else HOUR_STEP_S,
            **{name: [getattr(point, name) for point in points] for name in names},
        }

    def _add_camera(self, name: str, camera: CameraStatus, now_ns: int) -> int:
        """Returns the frames that were missed since the status before."""
        now = self._cameras.get(name)
        if now is None:
            now = self._cameras[name] = _CameraNow(changed_ns=now_ns)
            is_known = False
        else:
            is_known = now.session == camera.session
        missed = Counter({str(cause): count for cause, count in camera.missed.items()})
        new = missed - now.missed if is_known else Counter[str]()
        if is_known:
            now.frames += max(0, camera.last_frame_seq - now.last_frame_seq)
        if (camera.session, camera.last_frame_seq) != (now.session, now.last_frame_seq):
            now.changed_ns = now_ns
        _follow_light(now, camera, now_ns)
        now.session, now.last_frame_seq, now.missed = camera.session, camera.last_frame_seq, missed
        if new:
            if self._misses is None:
                self._misses = _Misses(now_ns, now_ns)
            self._misses.last_ns = now_ns
            self._misses.frames[name] += new.total()
            self._misses.causes.update(new)
        return new.total()

    def _missed(self) -> Iterable[Blind]:
        misses = self._misses
        if misses is None:
            return
        causes = ", ".join(f"{count} {cause}" for cause, count in misses.causes.most_common())
        cameras = sorted(misses.frames)
        yield Blind(
            what="missed",
            camera=cameras[0] if len(cameras) == 1 else None,
            message=f"frames are missed: {causes} ({', '.join(cameras)})",
            since_ns=misses.since_ns,
            metres=round(max(misses.frames.values()) * self._frame_m, 3),
        )

    def _silent(self, now_ns: int) -> Iterable[Blind]:
        """Cameras that send nothing while others do; or all of them."""
        if self.status is None:
            return
        is_fresh = self.status.uptime_s < STANDSTILL_S_MAX
        for name in () if is_fresh else self.status.silent_cameras:
            yield Blind(
                what="camera",
                camera=name,
                message=f"camera {name} has sent nothing since the daemon's start",
                since_ns=self.status.t_ns - round(self.status.uptime_s * 1e9),
                metres=None,
            )
        if not self._cameras:
            return
        newest_ns = max(one.changed_ns for one in self._cameras.values())
        if now_ns - newest_ns > STANDSTILL_S_MAX * 1e9:
            yield Blind(
                what="no_frames",
                camera=None,
                message="no camera sends frames: the line stands, or nothing is inspected",
                since_ns=newest_ns,
                metres=None,
            )
            return
        for name, one in self._cameras.items():
            if newest_ns - one.changed_ns > SILENT_S_MAX * 1e9:
                yield Blind(
                    what="camera",
                    camera=name,
                    message=f"camera {name} sends no frames",
                    since_ns=one.changed_ns,
                    metres=self._passed_m(one.changed_ns),
                )

    def _dark(self) -> Iterable[Blind]:
        """Cameras whose light is too weak, over all of their width or a part."""
        for name, one in self._cameras.items():
            if one.dark_since_ns is not None:
                yield Blind(
                    what="dark",
                    camera=name,
                    message=f"camera {name} is dark {one.dark_text}",
                    since_ns=one.dark_since_ns,
                    metres=round((one.frames - one.dark_since_frames) * self._frame_m, 3),
                )

    def _passed_m(self, since_ns: int) -> float | None:
        """What has passed since a time, by the speed of the cameras that send."""
        speed = self.speed_m_per_min
        if speed is None:
            return None
        return round(speed * (self.status_ns - since_ns) / 60e9, 1)

    def _add_point(self, status: Status, now_ns: int, missed: int, defects: int) -> None:
        total = status.latency_ms.get("total", {})
        point = Point(
            t_s=round(now_ns / 1e9, 3),
            frames_per_s=status.frames_per_s,
            latency_p50_ms=finite(total.get("p50")),
            latency_p99_ms=finite(total.get("p99")),
            missed=missed,
            defects=defects,
            speed_m_per_min=self.speed_m_per_min,
        )
        self._minute.append(point)
        if self._gathered and int(point.t_s) // HOUR_STEP_S != (
            int(self._gathered[0].t_s) // HOUR_STEP_S
        ):
            self._hour.append(together(self._gathered))
            self._gathered = []
        self._gathered.append(point)


def _follow_light(now: _CameraNow, camera: CameraStatus, now_ns: int) -> None:
    """Note since when a camera is dark, and where across the strip."""
    dark = [fault for fault in camera.light_faults if fault.kind in DARK_KINDS]
    if not dark:
        now.dark_since_ns = None
    elif now.dark_since_ns is None:
        now.dark_since_ns, now.dark_since_frames = now_ns, now.frames
    ranges = (f"{first:.0f} to {end:.0f} mm" for first, end in (one.crossweb_mm for one in dark))
    now.dark_text = "at " + ", ".join(ranges)
