"""What operators decide, on its way into the journal: checked, and given the facts it is about."""

from __future__ import annotations

import time
from typing import Protocol

from stripwatch.errors import ConfigError, StorageError
from stripwatch.journal.reader import JournalReader
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import NO_SEQ, NO_STREAM, Defect, DefectClosed, Review, parse_event
from stripwatch.wire.operator import ClassInForce
from stripwatch.wire.requests import AskReview, AskThresholds


class NotFoundError(ConfigError):
    """What a decision is about does not exist."""


class BusyError(ConfigError):
    """It cannot be done now; the same may work a minute later."""


class Desk(Protocol):
    """Where decisions go. All of it is called by the requests thread."""

    def journal(self, review: Review) -> int:
        """Journal a judgement; returns the number of its event.

        Raises:
            StorageError: it is not in the journal, or not yet.
        """

    def change(self, request: AskThresholds) -> int | None:
        """Change thresholds; returns the number of the event, None where nothing changes.

        Raises:
            ConfigError: the engine has no such class, or a value is not allowed.
            BusyError: a reload is under way.
            StorageError: it cannot be kept over a restart, or not be journalled.
        """

    def classes(self) -> tuple[ClassInForce, ...]:
        """What holds for each class from the next batch on."""


def review_of(request: AskReview, reader: JournalReader, names: list[str]) -> Review:
    """The event of a judgement.

    Args:
        request: of a defect of this journal's stream.
        reader: of the journal.
        names: of the engine's classes.

    Raises:
        ConfigError: it does not fit together, or names no class.
        NotFoundError: there is no such defect.
        StorageError: the journal cannot be read.
    """
    if (request.verdict == "other") != (request.said is not None):
        raise ConfigError("verdict 'other' and the class that it is, `said`, go together")
    if request.said is not None and request.said not in names:
        raise ConfigError(f"said = {request.said!r}: allowed: {', '.join(names)}")
    defect = find_defect(reader, request.seq)
    if defect is None:
        raise NotFoundError(f"event {request.seq} is not a defect, or was removed")
    if request.box_px is not None:
        _check_box(request.box_px, defect)
    return Review(
        stream=NO_STREAM,
        seq=NO_SEQ,
        camera=defect.camera,
        strip=defect.strip,
        t_ns=time.time_ns(),
        who=request.who,
        defect_seq=request.seq,
        class_name=defect.class_name,
        verdict=request.verdict,
        said=request.said,
        box_px=request.box_px,
        note=request.note,
    )


def find_defect(reader: JournalReader, seq: int) -> Defect | DefectClosed | None:
    """The defect of a number; None where there is none.

    Raises:
        StorageError: the journal cannot be read, or the event is damaged.
    """
    for topic, payload in reader.rows("SELECT topic, payload FROM event WHERE seq = ?", (seq,)):
        try:
            event = parse_event(topic.encode(), payload)
        except WireError as error:
            raise StorageError(f"event {seq} of the journal is damaged: {error.detail}") from error
        return event if isinstance(event, Defect | DefectClosed) else None
    return None


def _check_box(box_px: tuple[int, int, int, int], defect: Defect | DefectClosed) -> None:
    if isinstance(defect, DefectClosed):
        raise ConfigError("box_px is of one frame: give it with the number of a piece")
    x, y, width, height = box_px
    lines, pixels = defect.frame_shape
    if x + width > pixels or y + height > lines:
        raise ConfigError(f"box_px = {list(box_px)} is not inside the frame, {lines} x {pixels}")
