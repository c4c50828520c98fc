"""What the daemon answers to a request: from the journal, the files beside it, and the status.

No socket is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.journal.decisions import BusyError, Desk, NotFoundError, review_of
from stripwatch.journal.pictures import FILE as PICTURES_FILE
from stripwatch.journal.pictures import PictureStore
from stripwatch.journal.positions import FILE as POSITIONS_FILE
from stripwatch.journal.positions import Positions, TooManyReaders
from stripwatch.journal.reader import Bounds, JournalReader
from stripwatch.journal.store import FILE
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Status
from stripwatch.wire.requests import (
    Acknowledge,
    Acknowledged,
    AskPictures,
    AskPosition,
    AskReview,
    AskStatus,
    AskThresholds,
    Classes,
    Error,
    ErrorCode,
    Events,
    Picture,
    Pictures,
    Place,
    Position,
    Range,
    Request,
    Since,
    StatusAnswer,
    Write,
    Written,
    parse_request,
    request_id,
)

BYTES_MAX = 1024 * 1024  # payloads of an answer; a single longer event makes an answer of its own


class Answers:
    """Has connections of its own to the journal, positions and pictures; belongs to one thread.

    They are opened when they are needed, and again when their files were removed and made anew or
    could not be read.
    """

    def __init__(
        self, folder: Path, status: Callable[[], Status | None], desk: Desk | None = None
    ) -> None:
        """Nothing is opened yet.

        Args:
            folder: of the journal.
            status: the latest one; None before the first.
            desk: where decisions of operators go; None: they are refused.
        """
        self._folder = folder
        self._status = status
        self._desk = desk
        self._journal: JournalReader | None = None
        self._positions: Positions | None = None
        self._pictures: PictureStore | None = None
        self._files: tuple[int | None, ...] = ()  # that are open

    def answer(self, body: bytes, *, may_write: bool = True) -> list[bytes]:
        """The parts of the answer to a request; an error object where there is no other.

        Args:
            body: as it came.
            may_write: whether its sender may change something.
        """
        try:
            request = parse_request(body)
        except WireError as error:
            return refusal(body, error.detail)
        if isinstance(request, Write) and not may_write:
            return _error(request.id, "forbidden", "this key has no right to write")
        try:
            return self._answer(request)
        except TooManyReaders as error:
            return _error(request.id, "too_many_readers", str(error))
        except ConfigError as error:
            return _error(request.id, _code_of(error), str(error))
        except StorageError as error:
            self.close()
            return _error(request.id, "storage", str(error))

    def close(self) -> None:
        """Close the files; the next answer opens them again."""
        for opened in (self._journal, self._positions, self._pictures):
            if opened:
                opened.close()
        self._journal = self._positions = self._pictures = None

    def _open(self) -> JournalReader:
        """The journal that is there now.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        if self._journal is None or self._files != self._present_files():
            self.close()
            self._journal = JournalReader(self._folder)
            self._files = self._present_files()
        return self._journal

    def _open_positions(self) -> Positions:
        """Only once they are needed: on a read-only disk events can still be read."""
        if self._positions is None:
            self._positions = Positions(self._folder)
            self._files = self._present_files()
        return self._positions

    def _open_pictures(self) -> PictureStore:
        if self._pictures is None:
            self._pictures = PictureStore(self._folder, read_only=True)
            self._files = self._present_files()
        return self._pictures

    def _present_files(self) -> tuple[int | None, ...]:
        # A file that is removed and still open keeps its number.
        return tuple(_inode(self._folder / name) for name in (FILE, POSITIONS_FILE, PICTURES_FILE))

    def _answer(self, request: Request) -> list[bytes]:  # noqa: PLR0911 - one for each type
        match request:
            case Since():
                return self._since(request)
            case AskPosition():
                return self._position(request)
            case Acknowledge():
                return self._acknowledge(request)
            case AskPictures():
                return self._pictures_of(request)
            case AskStatus():
                return _encode(StatusAnswer(id=request.id, status=self._status()))
            case AskReview():
                return self._review(request, self._the_desk())
            case AskThresholds():
                return self._thresholds(request, self._the_desk())

    def _since(self, request: Since) -> list[bytes]:
        journal = self._open()
        with journal.snapshot():
            bounds = journal.bounds()
            stream = bounds.stream if request.stream is None else request.stream
            fault = _fault(request.id, stream, request.seq, bounds)
            if fault:
                return fault
            page = journal.since(
                request.seq,
                topics=request.topics,
                events_max=request.events_max,
                bytes_max=BYTES_MAX,
            )
        lost = None
        if request.seq + 1 < bounds.first_seq:
            lost = Range(request.seq + 1, bounds.first_seq - 1)
        answer = Events(
            id=request.id,
            stream=stream,
            count=len(page.events),
            through_seq=page.through_seq,
            last_seq=bounds.last_seq,
            lost=lost,
        )
        parts = _encode(answer)
        for event in page.events:
            parts += (event.topic.encode(), event.payload)
        return parts

    def _position(self, request: AskPosition) -> list[bytes]:
        bounds = self._open().bounds()
        kept = self._open_positions().get(request.reader) if request.reader else None
        return _encode(
            Position(
                id=request.id,
                reader=request.reader,
                position=Place(kept.stream, kept.seq) if kept else None,
                stream=bounds.stream,
                first_seq=bounds.first_seq,
                last_seq=bounds.last_seq,
            )
        )

    def _acknowledge(self, request: Acknowledge) -> list[bytes]:
        fault = _fault(request.id, request.stream, request.seq, self._open().bounds())
        if fault:
            return fault
        self._open_positions().set(request.reader, request.stream, request.seq)
        return _encode(
            Acknowledged(
                id=request.id, reader=request.reader, stream=request.stream, seq=request.seq
            )
        )

    def _pictures_of(self, request: AskPictures) -> list[bytes]:
        fault = _fault(request.id, request.stream, request.seq, self._open().bounds())
        if fault:
            return fault
        kept = self._open_pictures().get(request.stream, request.seq)
        shown = (Picture(kind=one.kind, x=one.place_px[0], y=one.place_px[1]) for one in kept)
        answer = Pictures(id=request.id, pictures=tuple(shown))
        return [*_encode(answer), *(one.image for one in kept)]

    def _the_desk(self) -> Desk:
        if self._desk is None:
            raise ConfigError("decisions are not taken here")
        return self._desk

    def _review(self, request: AskReview, desk: Desk) -> list[bytes]:
        reader = self._open()
        bounds = reader.bounds()
        fault = _fault(request.id, request.stream, request.seq, bounds)
        if fault:
            return fault
        review = review_of(request, reader, [one.name for one in desk.classes()])
        return _encode(Written(id=request.id, stream=bounds.stream, seq=desk.journal(review)))

    def _thresholds(self, request: AskThresholds, desk: Desk) -> list[bytes]:
        seq = desk.change(request)
        stream = self._open().bounds().stream
        return _encode(Classes(id=request.id, classes=desk.classes(), stream=stream, seq=seq))


def refusal(body: bytes, reason: str) -> list[bytes]:
    """The answer to what is not a request."""
    return _error(
        request_id(body), "bad_request", f"{reason}; docs/wire-formats.md describes requests"
    )


def _code_of(error: ConfigError) -> ErrorCode:
    if isinstance(error, NotFoundError):
        return "not_found"
    return "busy" if isinstance(error, BusyError) else "bad_request"


def _fault(request_id: str, stream: str, seq: int, bounds: Bounds) -> list[bytes] | None:
    """The error about a place that this journal does not have."""
    if stream != bounds.stream:
        error: ErrorCode = "other_stream"
        message = f"the journal was made anew: its stream is {bounds.stream}, not {stream!r}"
    elif seq > bounds.last_seq:
        error = "ahead"
        message = (
            f"the journal ends at {bounds.last_seq}, before {seq}; was an older copy put back?"
        )
    else:
        return None
    return _error(request_id, error, message, bounds)


def _error(
    request_id: str | None, code: ErrorCode, message: str, bounds: Bounds | None = None
) -> list[bytes]:
    return _encode(
        Error(
            id=request_id,
            error=code,
            message=message,
            stream=bounds.stream if bounds else None,
            last_seq=bounds.last_seq if bounds else None,
        )
    )


def _encode(answer: msgspec.Struct) -> list[bytes]:
    return [msgspec.json.encode(answer)]


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
