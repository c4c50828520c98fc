"""One strip out of the journal: its record, and what identifies the events that it is from."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError, StorageError
from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.journal.query import Query, find
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.schema import IS_RARE
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import DaemonStart, LineEvent, NumberedEvent, Review, parse_event

STRIPS_NAMED_MAX = 5
CAMERAS_MAX = 32  # that see a strip, for the names of the latest strips


@dataclass(frozen=True, slots=True)
class Signature:
    """By which the events of a strip can be found and checked again."""

    stream: str
    first_seq: int
    last_seq: int
    events: int
    sha256: str  # over the payloads of the strip's events in order, a line break after each


@dataclass(frozen=True, slots=True)
class StoredStrip:
    """A strip as the journal has it."""

    record: StripRecord
    signature: Signature
    starts: tuple[DaemonStart, ...]  # of the daemons that inspected it, the first before its begin


def read_strip(reader: JournalReader, strip: str, config: Config) -> StoredStrip:
    """The latest passage of a strip.

    Raises:
        ConfigError: the journal has no event of this strip; names some that it has.
        StorageError: the journal cannot be read, or an event is damaged.
    """
    builder = RecordBuilder(strip, config)
    digest = hashlib.sha256()
    seqs: list[int] = []
    for event, payload in strip_events(reader, strip):
        builder.add(event)
        digest.update(payload + b"\n")
        seqs.append(event.seq)
    if not seqs:
        known = ", ".join(repr(name) for name in latest_strips(reader)) or "none"
        raise ConfigError(f"the journal has no strip {strip!r}; the latest that it has: {known}")
    signature = Signature(
        reader.bounds().stream, min(seqs), max(seqs), len(seqs), digest.hexdigest()
    )
    starts = tuple(_daemon_starts(reader, signature.first_seq, signature.last_seq))
    return StoredStrip(builder.record(), signature, starts)


def strip_events(
    reader: JournalReader, strip: str, after_seq: int = 0
) -> Iterator[tuple[NumberedEvent, bytes]]:
    """The events of the latest passage of a strip with their payloads, in order.

    Where a camera began the strip more than once, what it told before its latest begin is left out.

    Args:
        reader: of the journal.
        strip: its name.
        after_seq: only those with a larger number.

    Raises:
        StorageError: the journal cannot be read, or an event is damaged.
    """
    begins = strip_begins(reader, strip)
    first_seq = min(begins.values(), default=1)
    query = Query(strip=strip, after_seq=max(first_seq - 1, after_seq))
    for page in find(reader, query):
        for stored in page:
            event = _parse(stored.seq, stored.topic, stored.payload)
            assert not isinstance(event, LineEvent), "they are of no strip"
            if isinstance(event, Review):
                continue  # what is known of the strip stays as it is when somebody looks at it
            if event.seq >= begins.get(event.camera, 0):
                yield event, stored.payload


def strip_begins(reader: JournalReader, strip: str) -> dict[str, int]:
    """The number of the latest `strip_start` of each camera.

    Raises:
        StorageError: the journal cannot be read.
    """
    return dict(
        reader.rows(
            "SELECT camera, max(seq) FROM event "
            "WHERE strip = ? AND type = 'strip_start' GROUP BY camera",
            (strip,),
        )
    )


def last_strip(reader: JournalReader) -> str:
    """The strip that ended last; where none has, the one that began last.

    Raises:
        ConfigError: the journal has no strip: the cameras send no coil id.
        StorageError: the journal cannot be read.
    """
    for kind in ("strip_end", "strip_start"):
        for row in backward(reader, kind, ("strip",), 1):
            return str(row[0])
    raise ConfigError(
        "the journal has no strip: no camera has sent a coil id, the key strip of a frame's header"
    )


def latest_strips(reader: JournalReader) -> list[str]:
    """The names of the strips that began last, the latest first."""
    rows = backward(reader, "strip_start", ("strip",), STRIPS_NAMED_MAX * CAMERAS_MAX)
    return list(dict.fromkeys(str(name) for (name,) in rows))[:STRIPS_NAMED_MAX]


def _daemon_starts(reader: JournalReader, first_seq: int, last_seq: int) -> list[DaemonStart]:
    """The start before the strip's first event and those up to its last, in order."""
    starts: list[DaemonStart] = []
    columns = ("seq", "topic", "payload")
    before_seq = last_seq + 1
    while before_seq > first_seq:
        rows = backward(reader, "daemon_start", columns, 1, before_seq)
        if not rows:
            break
        event = _parse(*rows[0])
        assert isinstance(event, DaemonStart)
        starts.append(event)
        before_seq = event.seq
    return starts[::-1]


def backward(
    reader: JournalReader,
    kind: str,
    columns: tuple[str, ...],
    count: int,
    before_seq: int | None = None,
) -> list[tuple[Any, ...]]:
    """The newest events of a rare type, the newest first.

    Args:
        reader: of the journal.
        kind: any but defect, defect_closed and gap.
        columns: of the table of events.
        count: at most so many.
        before_seq: older than this one.

    Raises:
        StorageError: the journal cannot be read.
    """
    return reader.rows(
        f"SELECT {', '.join(columns)} FROM event "  # noqa: S608 - names of columns
        f"WHERE type = ? AND {IS_RARE} AND seq < ? ORDER BY seq DESC LIMIT ?",
        (kind, sys.maxsize if before_seq is None else before_seq, count),
    )


def _parse(seq: int, topic: str, payload: bytes) -> NumberedEvent:
    try:
        event = parse_event(topic.encode(), payload)
    except WireError as error:
        raise StorageError(f"event {seq} of the journal is damaged: {error.detail}") from error
    assert isinstance(event, NumberedEvent)
    return event
