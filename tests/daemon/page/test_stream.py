"""The event stream: once and in order, resumed, and without cost for those who do not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.inspect.grading.strips import MadeStrip
from tests.daemon.journal.strip_journal import write_journal
from tests.daemon.page.conftest import Opened
from tests.daemon.page.test_journal_answers import append, closed

from stripwatch.config.sections import Config
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import Journal
from stripwatch.page.defect_rows import live_row
from stripwatch.page.reading import Reading
from stripwatch.page.stream import EVENTS_AT_ONCE, KEPT_MESSAGES, Streams, parse_place, read_message
from stripwatch.wire.event import NumberedEvent
from stripwatch.wire.requests import Place

ROW = partial(live_row, class_index={"pits": 0})


@pytest.fixture
def folder(journal_config: Config) -> Path:
    return Path(journal_config.journal.folder or "")


@pytest.fixture
def written(folder: Path) -> list[NumberedEvent]:
    """A start, two begins, a defect, two pieces and their whole, a gap, two ends."""
    strip = MadeStrip()
    strip.defect(1000.0, is_whole=True)
    pieces = [strip.defect(2000.0), strip.defect(2010.0)]
    strip.events.append(closed(pieces))
    strip.gap(10.0, 2.0)
    return write_journal(folder, strip)


def messages(text: bytes) -> list[tuple[str | None, str, Any]]:
    """Id, kind and data of each message; comments are left out."""
    found = []
    for block in text.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append((lines.get("id"), lines["event"], json.loads(lines["data"])))
    return found


def numbers(found: list[tuple[str | None, str, Any]]) -> list[int]:
    """The numbers of the events in messages."""
    seqs: list[int] = []
    for _, kind, data in found:
        if kind == "defects":
            seqs += [row[0] for row in data["rows"]]
        elif kind != "status":
            seqs.append(data["seq"])
    return seqs


def test_defects_are_packed_between_the_other_events(
    folder: Path, written: list[NumberedEvent]
) -> None:
    """In the order of their numbers; the id is the place after the last event of a message."""
    stream = written[0].stream
    with JournalReader(folder) as reader:
        message = read_message(reader, Place(stream, 0), ROW)
    found = messages(message.text)
    assert [kind for _, kind, _ in found] == [
        *("daemon_start", "strip_start", "strip_start"),
        *("defects", "gap", "strip_end", "strip_end"),
    ]
    assert numbers(found) == [event.seq for event in written]
    ids = [parse_place(place or "") for place, _, _ in found]
    assert ids[3] == Place(stream, 7)
    assert ids[-1] == message.through == Place(stream, written[-1].seq)
    rows = found[3][2]["rows"]
    assert [row[1] for row in rows] == ["defect", "defect", "defect", "defect_closed"]
    assert [row[14] for row in rows] == [1, 0, 0, 2]
    assert (rows[0][6], rows[0][5]) == (1.0, 0)
    assert rows[3][16] == [rows[2][15]]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_from_any_place_on_everything_comes_once(
    folder: Path,
    written: list[NumberedEvent],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    """However it is divided: a browser goes on behind the last id that it has."""
    monkeypatch.setattr("stripwatch.page.stream.EVENTS_AT_ONCE", at_once)
    stream = written[0].stream
    with JournalReader(folder) as reader:
        for begin in range(len(written)):
            place, seqs = Place(stream, begin), []
            while place.seq < len(written):
                message = read_message(reader, place, ROW)
                seqs += numbers(messages(message.text))
                place = message.through
            assert seqs == list(range(begin + 1, len(written) + 1))


def test_what_retention_has_removed_is_told(folder: Path, written: list[NumberedEvent]) -> None:
    journal = Journal(folder)
    journal.remove(4)
    journal.close()
    with JournalReader(folder) as reader:
        message = read_message(reader, Place(written[0].stream, 1), ROW)
    (place, kind, data), *rest = messages(message.text)
    assert (kind, data) == ("lost", {"first_seq": 2, "last_seq": 4})
    assert parse_place(place or "") == Place(written[0].stream, 4)
    assert numbers(rest) == list(range(5, len(written) + 1))


@pytest.mark.parametrize("place", [("other", 3), (None, 1000)])
def test_another_journal_is_a_reset(
    folder: Path, written: list[NumberedEvent], place: tuple[str | None, int]
) -> None:
    """Made anew, or an older copy put back."""
    stream = written[0].stream
    with JournalReader(folder) as reader:
        message = read_message(reader, Place(place[0] or stream, place[1]), ROW)
    ((_, kind, data),) = messages(message.text)
    assert (kind, data) == ("reset", {"stream": stream, "last_seq": len(written)})
    assert message.through == Place(stream, len(written))


@pytest.mark.parametrize(
    "text", ["", "x", ":3", "s:", "s:-1", "s:1.5", "s:" + "9" * 17, "s:\u00b2"]
)
def test_what_is_no_place_is_refused(opened: Opened, text: str) -> None:
    assert parse_place(text) is None
    with opened() as client:
        if text:
            assert client.get("/api/events", params={"after": text}).status_code == 400


async def until(stream: AsyncIterator[bytes], seq: int) -> list[int]:
    """The numbers that a stream brings, up to one."""
    seqs: list[int] = []
    async for text in stream:
        seqs += numbers(messages(text))
        if seq in seqs:
            break
    return seqs


def test_many_browsers_get_everything_whatever_they_do(
    folder: Path, written: list[NumberedEvent], journal_config: Config
) -> None:
    """One from the beginning, one at the end, one that comes back after others have gone on."""

    async def run() -> None:
        reading = Reading(folder)
        streams = Streams(reading, ROW)
        task = asyncio.create_task(streams.follow_journal())
        stream, end = written[0].stream, len(written)
        first, second = streams.follow(Place(stream, 0)), streams.follow(None)
        async with aclosing(first), aclosing(second):  # type: ignore[type-var]
            assert await anext(second) == b"retry: 1000\n\n"
            streams.set_status({"status": None})
            assert messages(await anext(second))[0][1] == "status"
            assert await until(first, end) == list(range(1, end + 1))
            assert streams.listeners == 2
            for number in range(3):
                more = MadeStrip()
                more.gap(number, 1.0)
                append(journal_config, *more.events)
            assert await until(first, end + 3) == [end + 1, end + 2, end + 3]
            assert await until(second, end + 3) == [end + 1, end + 2, end + 3]
        assert streams.listeners == 0
        back = streams.follow(Place(stream, end + 1))
        async with aclosing(back):  # type: ignore[type-var]
            assert await until(back, end + 3) == [end + 2, end + 3]
            streams.close()
            assert [text async for text in back] == []
        task.cancel()
        reading.close()

    asyncio.run(run())


def test_a_browser_that_never_reads_costs_nothing(
    folder: Path, written: list[NumberedEvent], journal_config: Config
) -> None:
    """Nothing is read for it, and what is kept for all has a limit."""

    async def run() -> None:
        reading = Reading(folder)
        streams = Streams(reading, ROW)
        task = asyncio.create_task(streams.follow_journal())
        stream = written[0].stream
        silent, other = streams.follow(Place(stream, 0)), streams.follow(None)
        async with aclosing(silent), aclosing(other):  # type: ignore[type-var]
            await anext(silent)
            await anext(other)
            seq = len(written)
            for _ in range(3):
                more = MadeStrip()
                for number in range(2 * EVENTS_AT_ONCE):
                    more.defect(float(number))
                append(journal_config, *more.events)
                seq += 2 * EVENTS_AT_ONCE
                await until(other, seq)
            assert len(streams._end) <= KEPT_MESSAGES
            assert await until(silent, seq) == list(range(1, seq + 1))
        task.cancel()
        reading.close()

    asyncio.run(run())
