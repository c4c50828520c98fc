"""Lengths of strip without a coil id, listed and shown by the page among strips that have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from stripwatch.errors import StorageError
from stripwatch.journal.reader import JournalReader
from stripwatch.page.unnamed import Unnamed
from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.event import (
    NO_SEQ,
    NO_STREAM,
    Defect,
    DefectClosed,
    Gap,
    NumberedEvent,
    StripEnd,
    StripStart,
    parse_event,
)

LISTED = 5  # of the latest
LOOKED_AT = 200_000  # of the latest events of the journal: there is no index of those without strip
PAGE_ROWS = 500  # of one statement


class Length:
    """One length of strip without a coil id, and its events as those of a strip with one."""

    def __init__(self, unnamed: Unnamed, part: int) -> None:
        """Part number `part` of what runs."""
        self.unnamed = unnamed
        self.part = part
        self.name = unnamed.name(part)

    @property
    def length_mm(self) -> float:
        """How much of it has passed the camera that is ahead."""
        return max(self.unnamed.length_mm(one, self.part) for one in self.unnamed.sessions)

    def item(self) -> dict[str, Any]:
        """An item of the list of strips."""
        is_over = self.unnamed.is_over(self.part)
        return {
            "strip": self.name,
            "first_seq": 0,
            "start_ns": None,
            "end_ns": None,
            "has_ended": is_over,
            "length_m": self.length_mm / 1000 if is_over else None,
            "metres_missed": None,
            "defects": {},
            "grade": None,
            "cameras": sorted(self.unnamed.sessions),
        }

    def events(self, reader: JournalReader, after_seq: int) -> Iterator[NumberedEvent]:
        """Its events after a number; only those among the latest of the journal.

        Before them its begin under each camera, after them its reports where it is over: the
        daemon knows of neither.

        Raises:
            StorageError: the journal cannot be read, or an event is damaged.
        """
        bounds = reader.bounds()
        seq = max(after_seq, bounds.first_seq - 1, bounds.last_seq - LOOKED_AT)
        if not after_seq:
            yield from self._starts(seq + 1)
        missed: dict[str, Counter[Cause]] = {}
        while rows := reader.rows(
            "SELECT seq, topic, payload FROM event WHERE seq > ? AND strip IS NULL "
            "AND type IN ('defect', 'defect_closed', 'gap') ORDER BY seq LIMIT ?",
            (seq, PAGE_ROWS),
        ):
            for row in rows:
                event = self._placed(*row)
                if isinstance(event, Gap):
                    missed.setdefault(event.camera, Counter())[event.cause] += event.count
                if event is not None:
                    yield event
            seq = rows[-1][0]
        if not after_seq and self.unnamed.is_over(self.part):
            yield from self._ends(missed)

    def _placed(self, seq: int, topic: str, payload: bytes) -> Defect | DefectClosed | Gap | None:
        """An event in this length; None: it is elsewhere."""
        try:
            event = parse_event(topic.encode(), payload)
        except WireError as error:
            raise StorageError(f"event {seq} of the journal is damaged: {error.detail}") from error
        if isinstance(event, Gap):
            return self.unnamed.gap(event, self.part)
        assert isinstance(event, Defect | DefectClosed)
        placed = self.unnamed.placed(event)
        return placed if placed.strip == self.name else None

    def _starts(self, seq: int) -> Iterator[StripStart]:
        for camera, session in self.unnamed.sessions.items():
            yield StripStart(
                stream=NO_STREAM,
                seq=seq,
                camera=camera,
                strip=self.name,
                session=session.name,
                frame_seq=session.base + self.part * self.unnamed.frames,
                t_ns=0,
            )

    def _ends(self, missed: Mapping[str, Counter[Cause]]) -> Iterator[StripEnd]:
        metres = self.unnamed.frame_mm / 1000
        for camera, session in self.unnamed.sessions.items():
            lost = missed.get(camera, Counter())
            inspected = self.unnamed.frames - lost.total()
            yield StripEnd(
                stream=NO_STREAM,
                seq=NO_SEQ,
                camera=camera,
                strip=self.name,
                session=session.name,
                frame_seq=session.base + (self.part + 1) * self.unnamed.frames - 1,
                t_ns=0,
                frames_inspected=inspected,
                frames_missed=dict(lost),
                metres_inspected=round(inspected * metres, 4),
                metres_missed={cause: round(count * metres, 4) for cause, count in lost.items()},
                defects={},
            )


def latest_lengths(unnamed: Unnamed) -> list[Length]:
    """The newest first."""
    newest = max(map(unnamed.latest, unnamed.sessions), default=-1)
    return [Length(unnamed, part) for part in range(newest, max(-1, newest - LISTED), -1)]


def length_of(unnamed: Unnamed, name: str) -> Length | None:
    """The length of this name; None: it is a coil id, or of sessions that are over."""
    if not name.endswith(unnamed.key):
        return None
    newest = max(map(unnamed.latest, unnamed.sessions), default=-1)
    parts = range(newest, -1, -1)
    return next((Length(unnamed, part) for part in parts if unnamed.name(part) == name), None)
