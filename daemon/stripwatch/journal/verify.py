"""What is wrong in a journal: its numbers, its events, and whether its tables agree.

Reads the journal once from its first event to its last, beside a daemon that writes it. A journal
whose oldest events were removed is checked from the first that is left: what began before that is
not compared with counts that go back further.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Account
from stripwatch.inspect.events import StripTally
from stripwatch.journal.faults import as_storage_error
from stripwatch.journal.history import History
from stripwatch.journal.records import EventRecord, event_record
from stripwatch.journal.schema import check
from stripwatch.journal.store import SESSIONS_KEPT
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import NumberedEvent, build_event

FAULTS_MAX = 100  # that are listed; a journal with more is damaged throughout

_payloads: msgspec.json.Decoder[NumberedEvent] = msgspec.json.Decoder(NumberedEvent)


def verify(path: Path) -> list[str]:
    """Everything that is wrong in a journal, at most `FAULTS_MAX` sentences; [] where it is sound.

    Raises:
        StorageError: there is no journal that can be read: no file, another program's database, or
            one of a newer stripwatch.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    with (
        as_storage_error(path),
        closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database,
    ):
        if not check(database):
            raise StorageError("is empty: no daemon has written to it")
        return faults_in(database)


def faults_in(database: sqlite3.Connection) -> list[str]:
    """As `verify`, of a database that is open; it is only read."""
    faults: list[str] = []
    try:
        database.execute("BEGIN")  # all tables as they are at one moment
        for fault in _faults(database):
            faults.append(fault)
            if len(faults) == FAULTS_MAX:
                break
    except sqlite3.DatabaseError as error:
        faults.append(f"the database is damaged: {error}")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    return faults


def _faults(database: sqlite3.Connection) -> Iterator[str]:
    findings = [row[0] for row in database.execute("PRAGMA quick_check")]
    if findings != ["ok"]:
        # Its rows may hold anything, also what their columns forbid.
        yield from (f"the database is damaged: {finding}" for finding in findings)
        return
    streams = [row[0] for row in database.execute("SELECT stream FROM journal")]
    if len(streams) != 1:
        yield f"table journal has {len(streams)} rows, expected one"
        return
    history = History(_forgetful_cameras(database))
    expected: int | None = None
    for row in database.execute(
        "SELECT seq, type, topic, t_ns, camera, strip, downweb_mm, class_name, payload "
        "FROM event ORDER BY seq"
    ):
        record = EventRecord(*row)
        if expected is None:
            history.is_whole = record.seq == 1
        elif record.seq > expected:
            yield f"events {expected} to {record.seq - 1} are missing"
        expected = record.seq + 1
        try:
            event = _payloads.decode(record.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield f"event {record.seq}: its payload is no event: {error}"
            continue
        yield from _differences(record, event, streams[0])
        for fault in history.follow(event):
            yield f"event {record.seq}: {fault}"
    yield from _coverage_faults(database, history)
    yield from _strip_faults(database, history)


def _forgetful_cameras(database: sqlite3.Connection) -> frozenset[str]:
    return frozenset(
        camera
        for (camera,) in database.execute(
            "SELECT camera FROM coverage GROUP BY camera HAVING count(*) > ?", (SESSIONS_KEPT,)
        )
    )


def _differences(record: EventRecord, event: NumberedEvent, stream: str) -> Iterator[str]:
    """Where a row says something else than its payload."""
    if event.stream != stream:
        yield f"event {record.seq}: it is of stream {event.stream}, the journal of {stream}"
    expected = event_record(event, build_event(event)[0], record.payload, record.t_ns)
    for column in ("seq", "type", "topic", "camera", "strip", "downweb_mm", "class_name"):
        stored, told = getattr(record, column), getattr(expected, column)
        if stored != told:
            yield f"event {record.seq}: column {column} is {stored!r}, its payload says {told!r}"


def _coverage_faults(database: sqlite3.Connection, history: History) -> Iterator[str]:
    booked: set[tuple[str, str]] = set()
    for camera, session, first_seq, last_seq, inspected, missed in database.execute(
        "SELECT camera, session, first_seq, last_seq, inspected, missed FROM coverage"
    ):
        booked.add((camera, session))
        place = f"coverage of camera {camera}, session {session}"
        try:
            counts = msgspec.json.decode(missed, type=dict[Cause, int])
        except msgspec.DecodeError as error:
            yield f"{place}: missed cannot be read: {error}"
            continue
        account = Account(session, first_seq, last_seq, inspected)
        account.missed.update(counts)
        for fault in history.account_faults(camera, account):
            yield f"{place}: {fault}"
    for camera, session in history.sessions() - booked:
        yield f"coverage of camera {camera}, session {session}: missing, though events are of it"


def _strip_faults(database: sqlite3.Connection, history: History) -> Iterator[str]:
    tallies: dict[str, StripTally] = {}
    for camera, tally in database.execute("SELECT camera, tally FROM open_strip"):
        try:
            tallies[camera] = msgspec.json.decode(tally, type=StripTally)
        except msgspec.DecodeError as error:
            yield f"open strip of camera {camera}: it cannot be read: {error}"
            return
    yield from history.open_strip_faults(tallies)
