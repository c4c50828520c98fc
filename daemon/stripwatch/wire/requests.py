"""Requests, version 1: what a client asks the daemon, and what it answers.

A request is one JSON object in one message part, an answer one JSON object with the request's id.
The answer `events` is followed by two parts for each event, topic and payload, as published; the
answer `pictures` by one part for each picture.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.event import Status, Stream
from stripwatch.wire.names import CLASSES_MAX, NAME_PATTERN, ClassName, Count, ReaderName
from stripwatch.wire.operator import (
    USER_PATTERN,
    BoxPx,
    ClassInForce,
    ClassSetting,
    Judgement,
    Note,
    UserName,
)

REQUEST_BYTES_MAX = 64 * 1024
EVENTS_MAX = 1000  # of one answer
TOPICS_MAX = 100

_ID_PATTERN = "^[ -~]{1,64}$(?!\\n)"
_PATTERN_WORDS = {
    NAME_PATTERN: "expected 1 to 32 characters of a-z 0-9 _ -",
    _ID_PATTERN: "expected 1 to 64 printable characters of ASCII",
    USER_PATTERN: "expected 1 to 64 characters of a name, none of control",
}
RequestId = Annotated[str, Meta(pattern=_ID_PATTERN, description="of the client's choice")]
Topic = Annotated[str, Meta(max_length=200, description="the beginning of topics")]


AskedStream = Annotated[str, Meta(max_length=64)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: RequestId
    v: Literal[1] = 1


class _Answer(msgspec.Struct, frozen=True, kw_only=True):  # may get more keys
    id: RequestId
    v: Literal[1] = 1


class Since(_Request, frozen=True, kw_only=True, tag_field="type", tag="since"):
    """The events after a number. The answer is `events`."""

    stream: Annotated[
        AskedStream | None, Meta(description="to which `seq` belongs; null: the present one")
    ]
    seq: Annotated[Count, Meta(description="of the last event that is known; 0: none")]
    topics: Annotated[tuple[Topic, ...], Meta(min_length=1, max_length=TOPICS_MAX)] = ("",)
    events_max: Annotated[int, Meta(ge=1, le=EVENTS_MAX)] = EVENTS_MAX


class AskPosition(_Request, frozen=True, kw_only=True, tag_field="type", tag="position"):
    """Where a reader is, and which numbers there are. The answer is `position`."""

    reader: Annotated[ReaderName | None, Meta(description="null: only which numbers there are")] = (
        None
    )


class Acknowledge(_Request, frozen=True, kw_only=True, tag_field="type", tag="acknowledge"):
    """A reader has dealt with all events up to a number. The answer is `acknowledged`."""

    reader: ReaderName
    stream: AskedStream
    seq: Count


class AskPictures(_Request, frozen=True, kw_only=True, tag_field="type", tag="pictures"):
    """What a defect looks like. The answer is `pictures`."""

    stream: AskedStream
    seq: Annotated[Count, Meta(description="of the defect's event")]


class AskStatus(_Request, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """How the daemon is doing. The answer is `status`."""


class AskReview(_Request, frozen=True, kw_only=True, tag_field="type", tag="review"):
    """Journal an operator's judgement of a defect. The answer is `written`.

    The latest judgement of a defect holds, so that one may be given twice without harm.
    """

    stream: AskedStream
    seq: Annotated[Count, Meta(description="of the event `defect` or `defect_closed`")]
    who: UserName
    verdict: Judgement
    said: Annotated[
        ClassName | None, Meta(description="of the engine; needed for `other`, else null")
    ] = None
    box_px: BoxPx | None = None
    note: Note = ""


class AskThresholds(_Request, frozen=True, kw_only=True, tag_field="type", tag="thresholds"):
    """Change thresholds and minimum areas from the next batch on. The answer is `classes`.

    They are kept over a restart. Without classes nothing changes: the answer tells what holds.
    """

    who: UserName
    classes: Annotated[tuple[ClassSetting, ...], Meta(max_length=CLASSES_MAX)]
    note: Note = ""


class Place(msgspec.Struct, frozen=True):
    """A place between two events."""

    stream: Stream
    seq: Annotated[Count, Meta(description="of the last event before it; 0: the beginning")]


class Range(msgspec.Struct, frozen=True):
    """Numbers of events, both ends included."""

    first: Count
    last: Count


class Events(_Answer, frozen=True, kw_only=True, tag_field="type", tag="events"):
    """One page of events; topic and payload of each follow as parts of the message."""

    stream: Stream
    count: Annotated[Count, Meta(description="of events in this answer")]
    through_seq: Annotated[
        Count, Meta(description="no event of the topics up to here is left; ask again from here")
    ]
    last_seq: Annotated[Count, Meta(description="of the newest event, of any topic")]
    lost: Annotated[
        Range | None, Meta(description="asked for, and removed by retention; of any topic")
    ] = None


class Position(_Answer, frozen=True, kw_only=True, tag_field="type", tag="position"):
    """Where a reader is, and which numbers there are."""

    reader: ReaderName | None
    position: Annotated[Place | None, Meta(description="null: it has acknowledged nothing yet")]
    stream: Stream
    first_seq: Annotated[Count, Meta(description="of the oldest event that is kept")]
    last_seq: Count


class Acknowledged(_Answer, frozen=True, kw_only=True, tag_field="type", tag="acknowledged"):
    """The position is kept."""

    reader: ReaderName
    stream: Stream
    seq: Count


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of the message shows."""

    kind: Annotated[
        Literal["crop", "mask", "frame"],
        Meta(description="around the defect, a PNG; its mask there, a PNG; the frame, a JPEG"),
    ]
    x: Annotated[Count, Meta(description="of its first pixel, in the frame")]
    y: Count


class Pictures(_Answer, frozen=True, kw_only=True, tag_field="type", tag="pictures"):
    """The pictures of a defect that are kept; the image of each follows as a part."""

    pictures: Annotated[
        tuple[Picture, ...], Meta(description="none where they were dropped, or removed")
    ]


class StatusAnswer(_Answer, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """The latest status."""

    status: Annotated[Status | None, Meta(description="null: none was published yet")]


class Written(_Answer, frozen=True, kw_only=True, tag_field="type", tag="written"):
    """It is in the journal."""

    stream: Stream
    seq: Annotated[Count, Meta(description="of its event")]


class Classes(_Answer, frozen=True, kw_only=True, tag_field="type", tag="classes"):
    """What holds for each class from the next batch on."""

    classes: tuple[ClassInForce, ...]
    stream: Stream
    seq: Annotated[
        Count | None, Meta(description="of the event that tells the change; null: none was made")
    ] = None


ErrorCode = Literal[
    "bad_request",
    "other_stream",
    "ahead",
    "too_many_readers",
    "storage",
    "not_found",
    "busy",
    "forbidden",
]


class Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """Why a request has no other answer."""

    id: Annotated[str | None, Meta(description="null: it could not be read")]
    error: ErrorCode
    message: Annotated[str, Meta(description="a sentence")]
    stream: Annotated[Stream | None, Meta(description="the present one, where it matters")] = None
    last_seq: Annotated[Count | None, Meta(description="in it")] = None
    v: Literal[1] = 1


Write = AskReview | AskThresholds  # by clients that may write
Request = Since | AskPosition | Acknowledge | AskPictures | AskStatus | Write
Answer = Events | Position | Acknowledged | Pictures | StatusAnswer | Written | Classes | Error

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Identified(msgspec.Struct):
    id: RequestId | None = None


_ids: msgspec.json.Decoder[_Identified] = msgspec.json.Decoder(_Identified)


def parse_request(body: bytes) -> Request:
    """Parse and check a request.

    Raises:
        WireError: it is not a request of version 1.
    """
    if len(body) > REQUEST_BYTES_MAX:
        raise WireError(
            Cause.BAD_REQUEST, f"{len(body)} bytes; a request has at most {REQUEST_BYTES_MAX}"
        )
    try:
        return _requests.decode(body)
    except _UNREADABLE as error:
        raise WireError(Cause.BAD_REQUEST, _sentence(error)) from None


def request_id(body: bytes) -> str | None:
    """The id of a request that may break any other rule; None where that cannot be read."""
    try:
        return _ids.decode(body[:REQUEST_BYTES_MAX]).id
    except _UNREADABLE:
        return None


def parse_answer(body: bytes) -> Answer:
    """Parse and check the first part of an answer.

    Raises:
        WireError: it is not an answer of version 1.
    """
    try:
        return _answers.decode(body)
    except _UNREADABLE as error:
        raise WireError(Cause.BAD_REQUEST, f"answer: {error}") from None


def _sentence(error: Exception) -> str:
    """What is wrong, and where."""
    what, _, place = str(error).partition(" - at `$.")
    for pattern, words in _PATTERN_WORDS.items():
        if repr(pattern) in what:
            what = words
    return f"in the key {place.rstrip('`')}: {what}" if place else what
