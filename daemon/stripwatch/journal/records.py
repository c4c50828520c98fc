"""What one transaction of the journal holds: events, coverage and open strips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from stripwatch.inspect.coverage import Account
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, DefectClosed, NumberedEvent


class EventRecord(NamedTuple):
    """One event of the journal; its fields are the columns of the table `event`, in order."""

    seq: int
    type: str
    topic: str
    t_ns: int  # when it was journalled, Unix time
    camera: str | None
    strip: str | None
    downweb_mm: float | None
    class_name: str | None
    payload: bytes  # as published


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """How far one session of a camera is booked."""

    camera: str
    account: Account
    strip: str | None = None  # of the last frame
    line_end: int | None = None  # the `line` of the frame that follows it


@dataclass(slots=True)
class Transaction:
    """What is written together, or not at all."""

    events: list[EventRecord] = field(default_factory=list)
    coverage: dict[tuple[str, str], CoverageRecord] = field(default_factory=dict)
    open_strips: dict[str, bytes | None] = field(default_factory=dict)  # tally as JSON; None: ended

    def __bool__(self) -> bool:
        return bool(self.events or self.coverage or self.open_strips)


def event_record(event: NumberedEvent, topic: bytes, payload: bytes, t_ns: int) -> EventRecord:
    """The record of a numbered event and of its message."""
    defect = event if isinstance(event, Defect | DefectClosed) else None
    return EventRecord(
        seq=event.seq,
        type=str(event.__struct_config__.tag),
        topic=topic.decode(),
        t_ns=t_ns,
        camera=getattr(event, "camera", None),
        strip=getattr(event, "strip", None),
        downweb_mm=defect.position.downweb_mm if defect else None,
        class_name=defect.class_name if defect else None,
        payload=payload,
    )


def coverage_row(record: CoverageRecord, now_ns: int) -> tuple[object, ...]:
    """A record as a row of the table `coverage`."""
    account = record.account
    return (
        record.camera,
        account.session,
        account.first_seq,
        account.last_seq,
        account.inspected,
        msgspec.json.encode(account.missed).decode(),
        record.strip,
        record.line_end,
        now_ns,
    )


def coverage_record(
    camera: str,
    session: str,
    first_seq: int,
    last_seq: int,
    inspected: int,
    missed: str,
    strip: str | None,
    line_end: int | None,
) -> CoverageRecord:
    """The record of a row of the table `coverage`, less its time."""
    counts = msgspec.json.decode(missed, type=dict[Cause, int])
    account = Account(session, first_seq, last_seq, inspected)
    account.missed.update(counts)
    return CoverageRecord(camera, account, strip, line_end)
