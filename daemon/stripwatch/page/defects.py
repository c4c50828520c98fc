"""Defects out of the journal: a filtered list, and one with its pieces and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from stripwatch.errors import StorageError
from stripwatch.journal.decisions import find_defect
from stripwatch.journal.reader import JournalReader
from stripwatch.page.defect_rows import Told, item_of, names_of, nearest_edge_mm
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Defect, DefectClosed, Review, parse_event
from stripwatch.wire.names import StripSide

SCANNED_MAX = 20_000  # events that one list looks at
PAGE_ROWS = 500  # of one statement
PIECES_SOUGHT_MAX = 20_000  # events between a whole defect and its pieces


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which defects are wanted; all of them where nothing is given."""

    classes: tuple[str, ...] = ()
    side: StripSide | None = None
    camera: str | None = None
    strip: str | None = None
    from_ns: int | None = None  # journalled at or after
    to_ns: int | None = None  # journalled before
    score_min: float = 0.0
    area_mm2_min: float = 0.0
    length_mm_min: float = 0.0
    width_mm_min: float = 0.0
    edge_mm_max: float | None = None
    review: Literal["none", "right", "wrong", "other"] | None = None
    unit: Literal["whole", "piece"] = "whole"
    before: int | None = None  # numbers below this one
    limit: int = 100

    def takes(self, event: Told, review: Review | None) -> bool:
        """Whether a defect is wanted."""
        width_mm, length_mm = event.size_mm
        edge_mm = nearest_edge_mm(event)
        judged = review.verdict if review else "none"
        is_whole = isinstance(event, DefectClosed) or event.is_whole
        is_unit = is_whole if self.unit == "whole" else isinstance(event, Defect)
        return (
            is_unit
            and (not self.classes or event.class_name in self.classes)
            and self.side in (None, event.side)
            and self.camera in (None, event.camera)
            and self.strip in (None, event.strip)
            and event.score >= self.score_min
            and event.area_mm2 >= self.area_mm2_min
            and length_mm >= self.length_mm_min
            and width_mm >= self.width_mm_min
            and (self.edge_mm_max is None or (edge_mm is not None and edge_mm <= self.edge_mm_max))
            and self.review in (None, judged)
        )


class Found(msgspec.Struct):
    """What a scan has found."""

    events: list[Told]  # the newest first
    picture_seqs: dict[int, int]  # of whole defects: number of the largest piece
    next_seq: int | None  # go on before it; None: there is nothing older


def scan(
    reader: JournalReader,
    wanted: Filter,
    reviews: Mapping[int, Review],
    placed: Callable[[Told], Told] = lambda event: event,
) -> Found:
    """The newest defects that are wanted; `placed` places those without a coil id.

    Raises:
        StorageError: the journal cannot be read.
    """
    events: list[Told] = []
    awaited: dict[str, DefectClosed] = {}  # whole defects by the names of their pieces
    largest: dict[int, tuple[int, int]] = {}  # of whole ones: area and number of a piece
    scanned, seq = 0, None
    for number, t_ns, event in _backward(reader, wanted):
        scanned += 1
        is_full = len(events) >= wanted.limit
        if scanned > SCANNED_MAX or (is_full and (not awaited or scanned % PAGE_ROWS == 0)):
            break
        if not is_full:
            seq = number
        if event is None or not _is_of_time(wanted, t_ns):
            continue
        told = placed(event)
        if isinstance(told, Defect) and told.part_of in awaited:
            whole = awaited[told.part_of]
            largest[whole.seq] = max(largest.get(whole.seq, (0, 0)), (told.area_px, told.seq))
        if not is_full and wanted.takes(told, reviews.get(told.seq)):
            events.append(told)
            if isinstance(told, DefectClosed):
                awaited |= dict.fromkeys(names_of(told), told)
    else:
        seq = None if len(events) < wanted.limit else seq
    return Found(events, {seq: piece for seq, (_, piece) in largest.items()}, seq)


def _is_of_time(wanted: Filter, t_ns: int) -> bool:
    return (wanted.from_ns is None or t_ns >= wanted.from_ns) and (
        wanted.to_ns is None or t_ns < wanted.to_ns
    )


def _backward(reader: JournalReader, wanted: Filter) -> Iterator[tuple[int, int, Told | None]]:
    """Number, time and defect of the events from the newest back; None for other events."""
    before = wanted.before if wanted.before is not None else reader.bounds().last_seq + 1
    if wanted.to_ns is not None:
        rows = reader.rows(
            "SELECT seq FROM event WHERE t_ns < ? ORDER BY t_ns DESC, seq DESC LIMIT 1",
            (wanted.to_ns,),
        )
        before = min(before, rows[0][0] + 1 if rows else 0)
    first = 0
    if wanted.from_ns is not None:
        rows = reader.rows(
            "SELECT seq FROM event WHERE t_ns >= ? ORDER BY t_ns, seq LIMIT 1", (wanted.from_ns,)
        )
        first = rows[0][0] if rows else before
    of_strip = "" if wanted.strip is None else "strip = ? AND "
    strip: tuple[str, ...] = () if wanted.strip is None else (wanted.strip,)
    if wanted.strip is not None and not wanted.strip.isascii():  # no coil id: see lengths.py
        of_strip, strip = "strip IS NULL AND ", ()
    statement = (
        "SELECT seq, type, topic, t_ns, class_name, payload FROM event "  # noqa: S608 - constants
        f"WHERE {of_strip}seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?"
    )
    while rows := reader.rows(statement, (*strip, before, first, PAGE_ROWS)):
        for seq, kind, topic, t_ns, _class, payload in rows:
            is_defect = kind in ("defect", "defect_closed")
            yield seq, t_ns, _parsed(seq, topic, payload) if is_defect else None
        before = rows[-1][0]


def _parsed(seq: int, topic: str, payload: bytes) -> Told:
    try:
        event = parse_event(topic.encode(), payload)
    except WireError as error:
        raise StorageError(f"event {seq} of the journal is damaged: {error.detail}") from error
    assert isinstance(event, Defect | DefectClosed)
    return event


class Detail(msgspec.Struct):
    """One defect, and what belongs to it."""

    event: Told
    payload: bytes
    journalled_ns: int
    pieces: list[Defect]  # the oldest first; itself where it is one
    whole_seq: int | None  # of its `defect_closed`

    @property
    def largest(self) -> Defect | None:
        """Its largest piece, which has the picture to show."""
        return max(self.pieces, key=lambda piece: piece.area_px, default=None)


def detail(reader: JournalReader, seq: int) -> Detail | None:
    """One defect; None where there is none of this number.

    Raises:
        StorageError: the journal cannot be read.
    """
    event = find_defect(reader, seq)
    if event is None:
        return None
    ((payload, t_ns),) = reader.rows("SELECT payload, t_ns FROM event WHERE seq = ?", (seq,))
    if isinstance(event, DefectClosed):
        return Detail(event, payload, t_ns, _pieces_of(reader, event), seq)
    whole_seq = None if event.is_whole else _whole_of(reader, event)
    return Detail(event, payload, t_ns, [event], whole_seq)


def _pieces_of(reader: JournalReader, whole: DefectClosed) -> list[Defect]:
    names, pieces = names_of(whole), []
    for seq, topic, payload in _rows_of(reader, "defect", whole, -PIECES_SOUGHT_MAX):
        piece = _parsed(seq, topic, payload)
        if isinstance(piece, Defect) and piece.part_of in names:
            pieces.append(piece)
    return pieces


def _whole_of(reader: JournalReader, piece: Defect) -> int | None:
    for seq, topic, payload in _rows_of(reader, "defect_closed", piece, PIECES_SOUGHT_MAX):
        if piece.part_of in names_of(_parsed(seq, topic, payload)):
            return seq
    return None


def _rows_of(
    reader: JournalReader, kind: str, near: Told, reach: int
) -> list[tuple[int, str, bytes]]:
    first, last = sorted((near.seq, near.seq + reach))
    rows = reader.rows(
        "SELECT seq, topic, payload FROM event WHERE seq BETWEEN ? AND ? AND type = ? "
        "AND class_name = ? AND strip IS ? ORDER BY seq",
        (first, last, kind, near.class_name, near.strip),
    )
    return [(seq, topic, payload) for seq, topic, payload in rows]


def detail_items(
    found: Detail,
    class_index: Mapping[str, int],
    reviews: list[Review],
    placed: Callable[[Told], Told],
) -> dict[str, Any]:
    """One defect for the page, less its pictures; `placed` places those without a coil id."""
    largest, event = found.largest, placed(found.event)
    picture_seq = largest.seq if largest else found.event.seq
    return {
        "item": item_of(event, class_index, reviews[-1] if reviews else None, picture_seq),
        "event": msgspec.Raw(found.payload),
        "journalled_ns": found.journalled_ns,
        "latency_ms": (found.journalled_ns - found.event.t_ns) / 1e6,
        "pieces": [
            {
                "seq": piece.seq,
                "camera": piece.camera,
                "frame_seq": piece.frame_seq,
                "bbox_px": piece.bbox_px,
                "t_ns": piece.t_ns,
            }
            for piece in found.pieces
        ],
        "whole_seq": found.whole_seq,
        "reviews": reviews,
        "box_px": largest.bbox_px if largest else None,
        "frame_px": largest.frame_shape if largest else None,
    }
