"""What is answered to requests: pages, places, and a sentence where there is nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.daemon.journal.conftest import record

from stripwatch.journal.answers import Answers
from stripwatch.journal.pictures import Kind, PictureStore
from stripwatch.journal.pictures import Picture as StoredPicture
from stripwatch.journal.positions import READERS_MAX, Positions
from stripwatch.journal.records import Transaction
from stripwatch.journal.store import Journal
from stripwatch.wire.requests import (
    Acknowledged,
    Answer,
    Error,
    Events,
    Picture,
    Pictures,
    Place,
    Position,
    Range,
    StatusAnswer,
    parse_answer,
)


@pytest.fixture
def answers(journal: Journal) -> Iterator[Answers]:
    made = Answers(journal.path.parent, lambda: None)
    yield made
    made.close()


def ask(answers: Answers, kind: str, **keys: object) -> tuple[Answer, list[bytes]]:
    body = msgspec.json.encode({"type": kind, "id": "7", **keys})
    first, *parts = answers.answer(body)
    answer = parse_answer(first)
    assert answer.id == "7"
    return answer, parts


def test_pages_hold_events_as_published(answers: Answers, journal: Journal) -> None:
    """Topic and payload in turn; `through_seq` is where the next page begins."""
    seq, found = 0, []
    while seq < 10:
        answer, parts = ask(
            answers, "since", stream=journal.stream, seq=seq, topics=["gap"], events_max=2
        )
        assert isinstance(answer, Events)
        assert (answer.stream, answer.last_seq, answer.lost) == (journal.stream, 10, None)
        assert parts == [b"gap.top", b"x" * 10] * answer.count
        assert answer.through_seq > seq
        seq = answer.through_seq
        found.append(answer.count)
    assert sum(found) == 5
    answer, parts = ask(answers, "since", stream=None, seq=10)
    assert isinstance(answer, Events)
    assert (answer.count, answer.through_seq, parts) == (0, 10, [])


def test_a_page_has_a_limit_of_bytes(answers: Answers, journal: Journal) -> None:
    """A client that asks for everything gets pages of about a megabyte."""
    size = 100_000
    journal.append(Transaction([record(seq, payload=b"y" * size) for seq in range(11, 41)]))
    answer, parts = ask(answers, "since", stream=None, seq=10)
    assert isinstance(answer, Events)
    assert answer.count == 10
    assert sum(map(len, parts[1::2])) <= 1024 * 1024
    assert (answer.through_seq, answer.last_seq) == (20, 40)


def test_what_retention_removed_is_named(answers: Answers, journal: Journal) -> None:
    with closing(sqlite3.connect(journal.path)) as database:
        database.execute("DELETE FROM event WHERE seq <= 6")
        database.commit()
    answer, parts = ask(answers, "since", stream=journal.stream, seq=2)
    assert isinstance(answer, Events)
    assert answer.lost == Range(3, 6)
    assert len(parts) == 2 * 4
    answer, _ = ask(answers, "since", stream=journal.stream, seq=6)
    assert isinstance(answer, Events)
    assert answer.lost is None


@pytest.mark.parametrize("kind", ["since", "acknowledge"])
def test_a_place_that_the_journal_does_not_have_is_an_error(
    answers: Answers, journal: Journal, kind: str
) -> None:
    """Of another stream, or ahead of the newest event; the present place is in the answer."""
    keys = {"reader": "press"} if kind == "acknowledge" else {}
    for stream, seq, error in (("other", 1, "other_stream"), (journal.stream, 11, "ahead")):
        answer, _ = ask(answers, kind, stream=stream, seq=seq, **keys)
        assert isinstance(answer, Error)
        assert (answer.error, answer.stream, answer.last_seq) == (error, journal.stream, 10)
    with closing(Positions(journal.path.parent)) as positions:
        assert positions.all() == []


def test_positions_are_kept_by_name(answers: Answers, journal: Journal) -> None:
    assert ask(answers, "position", reader="press")[0] == Position(
        id="7", reader="press", position=None, stream=journal.stream, first_seq=1, last_seq=10
    )
    answer, _ = ask(answers, "acknowledge", reader="press", stream=journal.stream, seq=4)
    assert answer == Acknowledged(id="7", reader="press", stream=journal.stream, seq=4)
    answer, _ = ask(answers, "position", reader="press")
    assert isinstance(answer, Position)
    assert answer.position == Place(journal.stream, 4)
    answer, _ = ask(answers, "position")
    assert isinstance(answer, Position)
    assert (answer.reader, answer.position) == (None, None)


def test_one_reader_too_many_is_refused(answers: Answers, journal: Journal) -> None:
    """The known ones go on."""
    for number in range(READERS_MAX):
        ask(answers, "acknowledge", reader=f"r{number}", stream=journal.stream, seq=1)
    answer, _ = ask(answers, "acknowledge", reader="more", stream=journal.stream, seq=1)
    assert isinstance(answer, Error)
    assert answer.error == "too_many_readers"
    answer, _ = ask(answers, "acknowledge", reader="r7", stream=journal.stream, seq=2)
    assert isinstance(answer, Acknowledged)


def test_pictures_of_a_defect_follow_as_parts(answers: Answers, journal: Journal) -> None:
    """None are kept: an error. Those of this defect were dropped: an answer without parts."""
    keys = {"stream": journal.stream, "seq": 3}
    answer, _ = ask(answers, "pictures", **keys)
    assert isinstance(answer, Error)
    assert "pictures.crops" in answer.message
    with closing(PictureStore(journal.path.parent)) as store:
        assert ask(answers, "pictures", **keys) == (Pictures(id="7", pictures=()), [])
        kinds: tuple[Kind, ...] = ("crop", "mask")
        store.add([StoredPicture(journal.stream, 3, kind, (5, 0), kind.encode()) for kind in kinds])
    shown = tuple(Picture(kind=kind, x=5, y=0) for kind in kinds)
    assert ask(answers, "pictures", **keys) == (
        Pictures(id="7", pictures=shown),
        [b"crop", b"mask"],
    )
    answer, _ = ask(answers, "pictures", stream="other", seq=3)
    assert isinstance(answer, Error)


def test_a_journal_that_is_made_anew_is_opened_anew(answers: Answers, journal: Journal) -> None:
    """The old stream is refused, the new one read, and positions are kept again."""
    old = journal.stream
    ask(answers, "acknowledge", reader="press", stream=old, seq=4)
    shutil.rmtree(journal.path.parent)
    answer, _ = ask(answers, "since", stream=old, seq=4)
    assert isinstance(answer, Error)
    assert answer.error == "storage"
    assert "does not exist" in answer.message
    journal.reopen()
    journal.append(Transaction([record(1)]))
    answer, _ = ask(answers, "since", stream=old, seq=4)
    assert isinstance(answer, Error)
    assert (answer.error, answer.stream) == ("other_stream", journal.stream)
    answer, parts = ask(answers, "since", stream=journal.stream, seq=0)
    assert isinstance(answer, Events)
    assert len(parts) == 2
    answer, _ = ask(answers, "acknowledge", reader="press", stream=journal.stream, seq=1)
    assert isinstance(answer, Acknowledged)
    with closing(Positions(journal.path.parent)) as positions:
        assert [one.seq for one in positions.all()] == [1]


def test_a_damaged_journal_is_an_error_and_the_next_one_is_read(
    answers: Answers, journal: Journal
) -> None:
    """The status is known without a journal."""
    good = journal.path.rename(journal.path.with_suffix(".good"))
    journal.path.write_bytes(b"no database " * 1000)
    answer, _ = ask(answers, "since", stream=None, seq=0)
    assert isinstance(answer, Error)
    assert (answer.error, "it is not a journal" in answer.message) == ("storage", True)
    assert ask(answers, "status")[0] == StatusAnswer(id="7", status=None)
    good.rename(journal.path)
    assert isinstance(ask(answers, "since", stream=None, seq=0)[0], Events)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 10**5, b'{"type":"rewind","id":"7"}'])
def test_what_is_no_request_is_answered(answers: Answers, body: bytes) -> None:
    first, *parts = answers.answer(body)
    answer: Any = parse_answer(first)
    assert (answer.error, parts) == ("bad_request", [])
    assert "docs/wire-formats.md" in answer.message


def test_a_journal_that_is_not_there_yet_is_an_error(tmp_path: Path) -> None:
    with closing(Answers(tmp_path, lambda: None)) as answers:
        answer, _ = ask(answers, "position", reader="press")
    assert isinstance(answer, Error)
    assert answer.error == "storage"
