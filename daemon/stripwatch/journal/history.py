"""What the events of a journal add up to, to be compared with its tables and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar

from stripwatch.inspect.coverage import Account, saturated
from stripwatch.inspect.events import StripTally
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    DaemonEvent,
    DaemonReload,
    DaemonStart,
    Defect,
    Gap,
    NumberedEvent,
    Review,
    StripEnd,
    StripStart,
    Threshold,
)

_Key = TypeVar("_Key", bound=str)


@dataclass(slots=True)
class _Session:
    """The gaps of one session of a camera."""

    last_missed: int = -1
    last_seen: int = -1  # number of the last frame that an event names
    missed: Counter[Cause] = field(default_factory=Counter)


@dataclass(slots=True)
class _Strip:
    """What has happened since a strip began; `name` is None before the first and after an end."""

    name: str | None = None
    missed: Counter[Cause] = field(default_factory=Counter)
    defects: Counter[str] = field(default_factory=Counter)


class History:
    """Follows the events of a journal in order."""

    def __init__(self, forgetful: Set[str]) -> None:
        """Begin before the first event.

        Args:
            forgetful: cameras with so many sessions that the daemon has forgotten some; one that
                sends again is counted anew.
        """
        self.is_whole = False  # no event was removed
        self._forgetful = forgetful
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._strips: dict[str, _Strip] = {}  # of the cameras of which a strip began or ended
        self._runs: bool | None = None  # the daemon; None: unknown

    def sessions(self) -> set[tuple[str, str]]:
        """Camera and session of the frames that events name."""
        return set(self._sessions)

    def follow(self, event: NumberedEvent) -> Iterator[str]:
        """Add the next event; yields what cannot follow from those before."""
        if isinstance(event, DaemonEvent):
            yield from self._follow_daemon(event)
            return
        if self._runs is False:
            yield f"a {event.__struct_config__.tag} while no daemon ran"
        if isinstance(event, Review | Threshold):
            return  # they say nothing about frames
        strip = self._strips.get(event.camera)
        match event:
            case Gap():
                yield from self._follow_gap(event)
                if strip and event.cause is not Cause.SECOND_SENDER:
                    strip.missed[event.cause] += event.count
            case Defect():
                self._see(event.camera, event.session, event.frame_seq)
                if strip:
                    strip.defects[event.class_name] += 1
            case StripStart():
                self._see(event.camera, event.session, event.frame_seq)
                if strip and strip.name is not None:
                    yield f"strip {event.strip} begins before strip {strip.name} has ended"
                self._strips[event.camera] = _Strip(event.strip)
            case StripEnd():
                yield from self._report_faults(event)
                self._strips[event.camera] = _Strip()

    def _follow_daemon(self, event: DaemonEvent) -> Iterator[str]:
        if isinstance(event, DaemonReload):
            if not self._runs:
                yield "a daemon_reload while no daemon ran"
            return
        is_start = isinstance(event, DaemonStart)
        if self._runs is is_start:
            yield f"{'daemon_start' if is_start else 'daemon_stop'} twice in a row"
        self._runs = is_start

    def account_faults(self, camera: str, account: Account) -> Iterator[str]:
        """Where an entry of the coverage table disagrees with itself or with the events."""
        frames = account.last_seq - account.first_seq + 1
        missed = account.missed.total()
        if account.inspected + missed != frames:
            yield (
                f"{account.inspected} inspected and {missed} missed are not the {frames} frames "
                f"{account.first_seq} to {account.last_seq}"
            )
        session = self._sessions.get((camera, account.session), _Session())
        if session.last_seen > account.last_seq:
            yield f"it ends at frame {account.last_seq}, an event names frame {session.last_seen}"
        for cause in account.missed | session.missed:
            told, counted = account.missed[cause], session.missed[cause]
            if counted > told or (self.is_whole and counted != told):
                yield f"{told} frames missed as {cause}, but the gaps have {counted}"

    def open_strip_faults(self, tallies: Mapping[str, StripTally]) -> Iterator[str]:
        """Where the strips that are open disagree with the events."""
        for camera, strip in self._strips.items():
            tally = tallies.get(camera)
            if (tally.strip if tally else None) != strip.name:
                kept = f"strip {tally.strip}" if tally else "none"
                last = f"strip {strip.name} open" if strip.name else "no strip open"
                yield f"open strip of camera {camera}: {kept}, but the events leave {last}"
            elif tally:
                place = f"open strip {tally.strip} of camera {camera}"
                yield from _count_faults(place, strip, tally.missed, tally.defects)

    def _follow_gap(self, gap: Gap) -> Iterator[str]:
        if gap.count != gap.last_frame_seq - gap.first_frame_seq + 1:
            yield f"a gap of {gap.count} frames from {gap.first_frame_seq} to {gap.last_frame_seq}"
        key = gap.camera, gap.session
        session = self._sessions.setdefault(key, _Session())
        if gap.camera in self._forgetful and gap.first_frame_seq == 0:
            self._sessions[key] = session = _Session()
        elif gap.first_frame_seq <= session.last_missed:
            yield (
                f"frames {gap.first_frame_seq} to {session.last_missed} of camera {gap.camera}, "
                f"session {gap.session}, are missing twice"
            )
        session.last_missed = gap.last_frame_seq
        session.missed[gap.cause] += gap.count
        self._see(gap.camera, gap.session, gap.last_frame_seq)

    def _see(self, camera: str, session: str, frame_seq: int) -> None:
        entry = self._sessions.setdefault((camera, session), _Session())
        entry.last_seen = max(entry.last_seen, frame_seq)

    def _report_faults(self, report: StripEnd) -> Iterator[str]:
        strip = self._strips.get(report.camera)
        if strip is None:
            return  # it began before the events that are left
        if strip.name != report.strip:
            open_strip = f"strip {strip.name} is open" if strip.name else "no strip is open"
            yield f"strip {report.strip} ends, but {open_strip}"
            return
        place = f"the report of strip {report.strip}"
        yield from _count_faults(place, strip, report.frames_missed, report.defects)


def _count_faults(
    place: str, strip: _Strip, missed: Mapping[Cause, int], defects: Mapping[str, int]
) -> Iterator[str]:
    """Where counts of a strip are not those of its events."""
    if saturated(strip.missed) != saturated(missed):
        yield f"{place} has missed {_words(missed)}, its gaps {_words(strip.missed)}"
    if dict(strip.defects) != dict(defects):
        yield f"{place} has defects {_words(defects)}, its events {_words(strip.defects)}"


def _words(counts: Mapping[_Key, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
