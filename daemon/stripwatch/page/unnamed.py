"""Strip without a coil id: its frames as strips of the page, placed by counting them.

The daemon begins and ends strips by the coil ids that cameras send. Where they send none, its
events have no strip, and often no place along it. The page shows the frames of the present session
of each camera all the same, cut into lengths of `LENGTH_M`, with names that no coil id can have:
what runs for days would else not fit into one map. Places count the frames of the session.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from stripwatch.page.defect_rows import Told
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Box, DefectClosed, Gap

LENGTH_M = 10_000.0  # of what is shown as one strip
STALE_S = 60.0  # a camera that has sent nothing for so long is not under the same strip
APART_M = 50.0  # by which sessions that began together may differ in length
MARK = "·"  # in no coil id: those are ASCII


class Booked(NamedTuple):
    """The latest session of a camera, as far as it is booked."""

    session: str
    first_seq: int
    last_seq: int
    t_ns: int  # when it was booked


class Session(msgspec.Struct, frozen=True):
    """Frames of one camera since it began to count them."""

    name: str
    base: int  # number of the frame at which the strip's places begin
    last_seq: int  # of the latest frame that is booked


class Unnamed(msgspec.Struct, frozen=True, kw_only=True):
    """What runs without a coil id; without sessions nothing does."""

    frame_mm: float
    line_mm: float
    sessions: Mapping[str, Session]  # by camera

    def followed(self, found: Mapping[str, Booked]) -> Unnamed:
        """The same as the cameras have got on, or what begins with new sessions."""
        if not found:
            return replace(self, sessions={})
        known = self.sessions
        goes_on = all(name in found and found[name].session == known[name].name for name in known)
        newest_ns = max(one.t_ns for one in found.values())
        members = {
            name: one
            for name, one in found.items()
            if (goes_on and name in known) or newest_ns - one.t_ns <= STALE_S * 1e9
        }
        if goes_on and set(members) == set(known):
            bases = {name: known[name].base for name in known}
        else:
            bases = self._bases(members)
        return replace(
            self,
            sessions={
                name: Session(one.session, bases[name], one.last_seq)
                for name, one in members.items()
            },
        )

    def _bases(self, members: Mapping[str, Booked]) -> dict[str, int]:
        """Where places begin: with the sessions, or with the latest where others began before.

        All cameras look at the same strip now.
        """
        frames = min(one.last_seq - one.first_seq for one in members.values())
        apart = APART_M * 1000 / self.frame_mm
        return {
            name: one.first_seq
            if one.last_seq - one.first_seq - frames <= apart
            else one.last_seq - frames
            for name, one in members.items()
        }

    @property
    def key(self) -> str:
        """The same as long as no camera begins a new session."""
        names = ",".join(
            f"{camera}:{one.name}:{one.base}" for camera, one in sorted(self.sessions.items())
        )
        return f"{zlib.crc32(names.encode()):08x}"

    @property
    def frames(self) -> int:
        """Frames of one length."""
        return max(1, round(LENGTH_M * 1000 / self.frame_mm))

    def name(self, part: int) -> str:
        """The name of a length on the page."""
        from_km = part * self.frames * self.frame_mm / 1e6
        return f"no coil id {MARK} {from_km:g} km {MARK} {self.key}"

    def latest(self, camera: str) -> int:
        """The number of the length that is under a camera."""
        session = self.sessions[camera]
        return max(0, session.last_seq - session.base) // self.frames

    def length_mm(self, camera: str, part: int) -> float:
        """How much of a length has passed a camera."""
        session = self.sessions[camera]
        passed = session.last_seq + 1 - session.base - part * self.frames
        return min(max(passed, 0), self.frames) * self.frame_mm

    def strips(self) -> list[dict[str, Any]]:
        """What is under each camera, as of strips with a coil id."""
        return [
            {
                "camera": camera,
                "strip": self.name(part := self.latest(camera)),
                "length_m": round(self.length_mm(camera, part) / 1000, 3),
            }
            for camera in self.sessions
        ]

    def is_over(self, part: int) -> bool:
        """Whether a length has passed all cameras."""
        return all(self.latest(camera) > part for camera in self.sessions)

    def placed(self, event: Told) -> Told:
        """A defect as if its frame had a coil id and a line; as it is where it has an id."""
        if event.strip is not None:
            return event
        if isinstance(event, DefectClosed):
            return self._whole_at(event)
        _, y, _, height = event.bbox_px
        begin = self._count(event.camera, event.session, event.frame_seq)
        return self._at(event, begin, y * self.line_mm, height * self.line_mm)

    def gap(self, event: Gap, part: int) -> Gap | None:
        """What of a gap lies in a length; None: nothing of it."""
        first = self._count(event.camera, event.session, event.first_frame_seq)
        last = self._count(event.camera, event.session, event.last_frame_seq)
        if last is None or event.cause is Cause.SECOND_SENDER:
            return None
        begin = part * self.frames
        first, last = max(first or 0, begin), min(last, begin + self.frames - 1)
        if first > last:
            return None
        span_mm = ((first - begin) * self.frame_mm, (last + 1 - begin) * self.frame_mm)
        return replace(event, strip=self.name(part), count=last - first + 1, downweb_mm=span_mm)

    def _count(self, camera: str, session: str, frame_seq: int) -> int | None:
        """Frames since the begin of the strip; None: the frame is of another session, or before."""
        known = self.sessions.get(camera)
        if known is None or known.name != session or frame_seq < known.base:
            return None
        return frame_seq - known.base

    def _at(self, event: Told, count: int | None, first_mm: float, length_mm: float) -> Told:
        """A defect at a place in, or behind, a frame."""
        if count is None:
            return event
        part, frame = divmod(count, self.frames)
        begin_mm = round(frame * self.frame_mm + first_mm, 2)
        along_mm = (begin_mm, round(begin_mm + length_mm, 2))
        across_mm = (event.box_mm or Box(None, (event.position.crossweb_mm,) * 2)).crossweb_mm
        return replace(
            event,
            strip=self.name(part),
            box_mm=Box(along_mm, across_mm),
            position=replace(event.position, downweb_mm=round(sum(along_mm) / 2, 2)),
        )

    def _whole_at(self, event: DefectClosed) -> Told:
        """A defect over several frames: in the middle of where it can begin."""
        seen = event.frames.get(event.camera)
        if seen is None:
            return event
        length_mm = event.size_mm[1]
        frames = seen.last_frame_seq - seen.first_frame_seq
        earliest = max(0.0, frames * self.frame_mm - length_mm)
        latest = max(earliest, min(self.frame_mm, (frames + 1) * self.frame_mm - length_mm))
        begin = self._count(event.camera, seen.session, seen.first_frame_seq)
        return self._at(event, begin, (earliest + latest) / 2, length_mm)
