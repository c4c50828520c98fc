"""Requests and answers, version 1, and their JSON Schemas."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.operator import ClassInForce, ClassSetting
from stripwatch.wire.requests import (
    REQUEST_BYTES_MAX,
    Acknowledge,
    Acknowledged,
    Answer,
    AskPictures,
    AskPosition,
    AskReview,
    AskStatus,
    AskThresholds,
    Classes,
    Error,
    Events,
    Picture,
    Pictures,
    Place,
    Position,
    Range,
    Request,
    Since,
    StatusAnswer,
    Written,
    parse_answer,
    parse_request,
    request_id,
)
from stripwatch.wire.schema import schema, schema_text

DOCS = Path(__file__).resolve().parents[3] / "docs"
REQUESTS: list[Request] = [
    Since(id="1", stream="5d0c", seq=17, topics=("defect.top", "gap"), events_max=100),
    Since(id="1", stream=None, seq=0),
    AskPosition(id="a b", reader="press-gateway"),
    AskPosition(id="2"),
    Acknowledge(id="~", reader="press-gateway", stream="5d0c", seq=17),
    AskPictures(id="3", stream="5d0c", seq=17),
    AskStatus(id="x" * 64),
    AskReview(id="4", stream="5d0c", seq=17, who="Eva Müller", verdict="right"),
    AskReview(
        id="5",
        stream="5d0c",
        seq=17,
        who="eva",
        verdict="other",
        said="cracks",
        box_px=(3, 4, 50, 60),
        note="at the edge",
    ),
    AskThresholds(id="6", who="eva", classes=(ClassSetting(name="pits", threshold=0.5),)),
]
ANSWERS: list[Answer] = [
    Events(id="1", stream="s", count=3, through_seq=20, last_seq=90, lost=Range(4, 9)),
    Position(id="1", reader="r", position=Place("s", 3), stream="s", first_seq=1, last_seq=9),
    Acknowledged(id="1", reader="r", stream="s", seq=3),
    Pictures(id="1", pictures=(Picture(kind="crop", x=3, y=0), Picture(kind="mask", x=3, y=0))),
    StatusAnswer(id="1", status=None),
    Written(id="1", stream="s", seq=3),
    Classes(
        id="1",
        classes=(
            ClassInForce(
                id=1,
                name="pits",
                threshold=0.6,
                min_area_px=30,
                configured_threshold=0.5,
                configured_min_area_px=30,
            ),
        ),
        stream="s",
        seq=None,
    ),
    Error(id=None, error="other_stream", message="a sentence", stream="s", last_seq=3),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_come_back_and_satisfy_their_schema(request_: Request) -> None:
    body = msgspec.json.encode(request_)
    assert parse_request(body) == request_
    assert request_id(body) == request_.id
    jsonschema.Draft202012Validator(schema("request")).validate(json.loads(body))


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_come_back_and_satisfy_their_schema(answer: Answer) -> None:
    """A client ignores keys that a newer daemon adds."""
    body = msgspec.json.encode(answer)
    assert parse_answer(body) == answer
    assert parse_answer(body[:-1] + b',"newer":1}') == answer
    jsonschema.Draft202012Validator(schema("answer")).validate(json.loads(body))
    with pytest.raises(WireError):
        parse_answer(body[:-1])


@pytest.mark.parametrize("kind", ["event", "request", "answer"])
def test_the_kept_schemas_are_the_generated_ones(kind: str) -> None:
    """Run: python -m stripwatch.wire.schema KIND > docs/KIND.schema.json"""
    assert (DOCS / f"{kind}.schema.json").read_text() == schema_text(kind)


SINCE = {"type": "since", "id": "i", "stream": "s", "seq": 1}
READER = {"type": "acknowledge", "id": "i", "reader": "r", "stream": "s", "seq": 1}
REVIEW = {"type": "review", "id": "i", "stream": "s", "seq": 1, "who": "e", "verdict": "right"}
CHANGE = {"type": "thresholds", "id": "i", "who": "e", "classes": []}
BAD = [
    (b"", "truncated", None),
    (b"\xff", "malformed", None),
    (b"{", "truncated", None),
    (b"[]", "Expected `object`", None),
    (b"null", "Expected `object`", None),
    (b"{}", "type", None),
    (b"[" * 60_000, "", None),
    (b'{"id":"i","type":"since","x":' + b"[" * 60_000, "", None),
    (b'{"id":"i","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "", None),
    (b" " * (REQUEST_BYTES_MAX + 1), f"at most {REQUEST_BYTES_MAX}", None),
    ({"type": "rewind", "id": "i", "seq": 1}, "'rewind'", "i"),
    (REVIEW | {"verdict": "maybe"}, "in the key verdict", "i"),
    (REVIEW | {"said": "../x"}, "in the key said", "i"),
    (REVIEW | {"box_px": [0, 0, 0, 1]}, "in the key box_px", "i"),
    (REVIEW | {"note": "x" * 501}, "in the key note", "i"),
    (REVIEW | {"who": "a\nb"}, "none of control", "i"),
    (REVIEW | {"who": ""}, "none of control", "i"),
    (CHANGE | {"classes": [{"name": "pits", "threshold": 1.5}]}, "threshold", "i"),
    (CHANGE | {"classes": [{"name": "pits", "min_area_px": -1}]}, "min_area_px", "i"),
    (CHANGE | {"classes": [{"name": "pits", "gain": 1}]}, "gain", "i"),
    (CHANGE | {"classes": [{"name": "pits"}] * 9}, "in the key classes", "i"),
    ({"type": "since", "id": "i"}, "stream", "i"),
    (SINCE | {"v": 2}, "in the key v", "i"),
    (SINCE | {"id": 7}, "in the key id", None),
    (SINCE | {"id": ""}, "1 to 64 printable", None),
    (SINCE | {"id": "x" * 65}, "1 to 64 printable", None),
    (SINCE | {"id": "line\n"}, "1 to 64 printable", None),
    (SINCE | {"seq": -1}, "in the key seq", "i"),
    (SINCE | {"seq": 1.5}, "in the key seq", "i"),
    (SINCE | {"seq": 2**53}, "in the key seq", "i"),
    (SINCE | {"seq": "1"}, "in the key seq", "i"),
    (SINCE | {"stream": "s" * 65}, "in the key stream", "i"),
    (SINCE | {"stream": 1}, "in the key stream", "i"),
    (SINCE | {"topics": "defect"}, "in the key topics", "i"),
    (SINCE | {"topics": []}, "in the key topics", "i"),
    (SINCE | {"topics": ["x"] * 101}, "in the key topics", "i"),
    (SINCE | {"topics": ["x" * 201]}, "in the key topics", "i"),
    (SINCE | {"events_max": 0}, "in the key events_max", "i"),
    (SINCE | {"events_max": 10_000_000}, "in the key events_max", "i"),
    (SINCE | {"more": 1}, "unknown field `more`", "i"),
    *(
        (READER | {"reader": name}, "1 to 32 characters of a-z 0-9 _ -", "i")
        for name in ("", "A", "a b", "../x", "ü", "a" * 33, "a\n", "a;DROP TABLE position")
    ),
    (READER | {"reader": None}, "in the key reader", "i"),
]


@pytest.mark.parametrize(("body", "words", "known_id"), BAD)
def test_a_bad_request_is_refused_with_a_sentence_and_its_id_where_it_has_one(
    body: bytes | dict[str, object], words: str, known_id: str | None
) -> None:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(WireError) as caught:
        parse_request(encoded)
    assert caught.value.cause is Cause.BAD_REQUEST
    assert words in caught.value.detail
    assert request_id(encoded) == known_id


@pytest.mark.parametrize("request_", REQUESTS[:3])
def test_cut_and_flipped_requests_are_requests_or_wire_errors(request_: Request) -> None:
    body = msgspec.json.encode(request_)
    for length in range(len(body)):
        with pytest.raises(WireError):
            parse_request(body[:length])
    for position in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[position // 8] ^= 1 << position % 8
        request_id(bytes(flipped))
        try:
            parse_request(bytes(flipped))
        except WireError as error:
            assert error.cause is Cause.BAD_REQUEST
