"""Judgements of operators: checked against the defect that they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.daemon.journal.strip_journal import START

from stripwatch.errors import StorageError
from stripwatch.journal.answers import Answers
from stripwatch.journal.decisions import BusyError
from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.store import Journal
from stripwatch.wire.event import Defect, NumberedEvent, Review, build_event, with_number
from stripwatch.wire.operator import ClassInForce
from stripwatch.wire.requests import AskThresholds, Classes, Error, Written, parse_answer

NAMES = ("pits", "cracks")
DEFECT_SEQ = 2  # after the start


class Desk:
    """Notes what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.reviews: list[Review] = []
        self.error: Exception | None = None

    def journal(self, review: Review) -> int:
        if self.error:
            raise self.error
        self.reviews.append(review)
        return 100 + len(self.reviews)

    def change(self, _request: AskThresholds) -> int | None:
        if self.error:
            raise self.error
        return 7

    def classes(self) -> tuple[ClassInForce, ...]:
        return tuple(
            ClassInForce(
                id=number,
                name=name,
                threshold=0.5,
                min_area_px=0,
                configured_threshold=0.5,
                configured_min_area_px=0,
            )
            for number, name in enumerate(NAMES, 1)
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def journal(tmp_path: Path, make_defect: Callable[..., Defect]) -> Iterator[Journal]:
    """A start, and a defect of camera top in strip C1."""
    with closing(Journal(tmp_path)) as made:
        events: list[NumberedEvent] = [START, make_defect()]
        numbered = [with_number(event, made.stream, seq) for seq, event in enumerate(events, 1)]
        records = [
            event_record(one, topic, payload, 0)
            for one in numbered
            for topic, payload in [build_event(one)]
        ]
        made.append(Transaction(records))
        yield made


def ask(journal: Journal, desk: Desk | None, kind: str, **keys: object) -> object:
    with closing(Answers(journal.path.parent, lambda: None, desk)) as answers:
        body = {"type": kind, "id": "7", "who": "eva", **keys}
        (answer,) = answers.answer(msgspec.json.encode(body))
        return parse_answer(answer)


def judge(journal: Journal, desk: Desk | None, **keys: object) -> object:
    asked = {"stream": journal.stream, "seq": DEFECT_SEQ, "verdict": "right", **keys}
    return ask(journal, desk, "review", **asked)


def test_a_judgement_carries_what_it_is_about(journal: Journal, desk: Desk) -> None:
    """Camera, strip and class are those of the defect; the answer has the number of the event."""
    answer = judge(journal, desk, verdict="other", said="pits", box_px=[0, 0, 64, 32], note="n")
    assert answer == Written(id="7", stream=journal.stream, seq=101)
    (review,) = desk.reviews
    assert (review.camera, review.strip, review.class_name) == ("top", "C1", "cracks")
    assert (review.defect_seq, review.verdict, review.said) == (DEFECT_SEQ, "other", "pits")
    assert (review.who, review.box_px, review.note) == ("eva", (0, 0, 64, 32), "n")


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ({"seq": 1}, "not_found", "event 1 is not a defect"),
        ({"seq": 3}, "ahead", "ends at 2"),
        ({"stream": "other"}, "other_stream", "made anew"),
        ({"verdict": "other"}, "bad_request", "go together"),
        ({"said": "pits"}, "bad_request", "go together"),
        ({"verdict": "other", "said": "rust"}, "bad_request", "allowed: pits, cracks"),
        ({"box_px": [60, 0, 5, 5]}, "bad_request", "not inside the frame"),
        ({"box_px": [0, 30, 5, 5]}, "bad_request", "not inside the frame"),
    ],
)
def test_a_judgement_of_nothing_is_refused_with_a_sentence(
    journal: Journal, desk: Desk, keys: dict[str, object], code: str, words: str
) -> None:
    answer = judge(journal, desk, **keys)
    assert isinstance(answer, Error)
    assert answer.error == code
    assert words in answer.message
    assert not desk.reviews


def test_errors_of_the_desk_are_answers(journal: Journal, desk: Desk) -> None:
    """A journal that cannot be written, and a reload under way; without a desk all is refused."""
    desk.error = StorageError("the disk is full")
    answer = judge(journal, desk)
    assert isinstance(answer, Error)
    assert (answer.error, answer.message) == ("storage", "the disk is full")
    desk.error = BusyError("a reload is under way")
    answer = ask(journal, desk, "thresholds", classes=[])
    assert isinstance(answer, Error)
    assert answer.error == "busy"
    answer = judge(journal, None)
    assert isinstance(answer, Error)
    assert answer.error == "bad_request"


def test_a_change_is_answered_with_what_holds(journal: Journal, desk: Desk) -> None:
    answer = ask(journal, desk, "thresholds", classes=[{"name": "pits", "threshold": 0.6}])
    assert isinstance(answer, Classes)
    assert (answer.seq, answer.stream) == (7, journal.stream)
    assert [entry.name for entry in answer.classes] == list(NAMES)


def test_a_client_that_may_not_write_is_refused(journal: Journal, desk: Desk) -> None:
    """It may still ask."""
    with closing(Answers(journal.path.parent, lambda: None, desk)) as answers:
        change = {"type": "thresholds", "id": "7", "who": "eva", "classes": []}
        (refused,) = answers.answer(msgspec.json.encode(change), may_write=False)
        answer = parse_answer(refused)
        assert isinstance(answer, Error)
        assert answer.error == "forbidden"
        (told,) = answers.answer(b'{"type":"status","id":"7"}', may_write=False)
        assert not isinstance(parse_answer(told), Error)
