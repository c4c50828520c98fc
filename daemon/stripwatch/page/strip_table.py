"""The defects of one strip as columns, and its record, kept up with the journal."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.config.sections import Config
from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.strips import strip_events
from stripwatch.page.defect_rows import (
    CLOSED,
    JUDGED,
    NO_CLASS,
    PERIODIC,
    SIDES,
    SUPERSEDED,
    Told,
    flags_of,
    names_of,
    nearest_edge_mm,
    place_of,
)
from stripwatch.wire.event import Defect, DefectClosed, NumberedEvent, Periodic, Review, StripStart

ALIGNMENT = 8
_TYPES = {"f64": "<f8", "f32": "<f4", "u8": "u1"}
_COLUMNS = {
    "seq": "f64",
    "downweb_m": "f32",
    "crossweb_mm": "f32",
    "length_mm": "f32",
    "width_mm": "f32",
    "area_mm2": "f32",
    "score": "f32",
    "peak": "f32",
    "edge_mm": "f32",
    "class_index": "u8",
    "side": "u8",
    "flags": "u8",
    "review": "u8",
}
_CODES = {"f64": "d", "f32": "f", "u8": "B"}  # of the module array


# Finds the events of a strip after a number.
Events = Callable[[JournalReader, int], Iterator[NumberedEvent]]


class StripTable:
    """One strip; used by one thread at a time."""

    def __init__(self, strip: str, config: Config, class_index: Mapping[str, int]) -> None:
        """Nothing is read yet."""
        self.strip = strip
        self._config = config
        self.class_index = dict(class_index)
        self.stream = ""
        self.first_seq = 0  # of the strip's first event; 0: it has none
        self.last_seq = 0  # of the journal, up to which this is complete
        self._clear()

    def _clear(self) -> None:
        self.first_seq = self.last_seq = 0
        self._builder = RecordBuilder(self.strip, self._config)
        self._columns: dict[str, array[Any]] = {
            name: array(_CODES[kind]) for name, kind in _COLUMNS.items() if name != "review"
        }
        self._pieces: dict[str, list[int]] = {}  # rows of pieces by `part_of`
        self._closed_rows: dict[str, int] = {}  # of whole ones
        self._superseded_by: dict[int, int] = {}  # row of a piece: seq of its whole
        self._cameras: set[str] = set()  # that have begun it
        self.open_marks: set[str] = set()  # roll marks that go on

    @property
    def size(self) -> int:
        """Rows."""
        return len(self._columns["seq"])

    def follow(self, reader: JournalReader, events: Events | None = None) -> None:
        """Read what is new: the events of its coil id, or those that `events` finds.

        Raises:
            StorageError: the journal cannot be read.
        """
        bounds = reader.bounds()
        if bounds.stream != self.stream or bounds.first_seq > max(self.first_seq, 1):
            self._clear()  # another journal, or retention has removed its beginning
        self.stream = bounds.stream
        if bounds.last_seq == self.last_seq:
            return
        of_coil = (event for event, _ in strip_events(reader, self.strip, self.last_seq))
        for event in events(reader, self.last_seq) if events else of_coil:
            if isinstance(event, StripStart) and event.camera in self._cameras:
                self._clear()  # the strip runs again: only its latest passage counts
                self.follow(reader, events)
                return
            if event.seq > bounds.last_seq:
                break
            self._add(event)
        self.last_seq = bounds.last_seq

    def record(self) -> StripRecord:
        """What is known of the strip."""
        return self._builder.record()

    def count_reviews(self, reviews: Mapping[int, Review]) -> int:
        """How many of its rows were judged."""
        return int(np.count_nonzero(self._judged(np.array(self._columns["seq"]), reviews)))

    def table(self, after_seq: int, reviews: Mapping[int, Review]) -> bytes:
        """The rows with a number above `after_seq` in the page's binary form."""
        seqs = np.asarray(self._columns["seq"])
        (rows,) = (seqs > after_seq).nonzero()
        downweb = np.asarray(self._columns["downweb_m"])[rows]
        rows = rows[np.argsort(downweb, kind="stable")]  # those that are not known come last
        columns: dict[str, NDArray[Any]] = {
            name: np.asarray(values)[rows] for name, values in self._columns.items()
        }
        periodic = np.fromiter(self._periodic_rows(), np.int64)
        if len(periodic):
            columns["flags"] = columns["flags"] | np.where(np.isin(rows, periodic), PERIODIC, 0)
        columns["review"] = self._judged(columns["seq"], reviews)
        superseded = [
            int(self._columns["seq"][row])
            for row, closed_seq in self._superseded_by.items()
            if closed_seq > after_seq and self._columns["seq"][row] <= after_seq
        ]
        head = {
            "strip": self.strip,
            "stream": self.stream,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "count": len(rows),
            "superseded": superseded,
        }
        return packed(head, columns)

    def _periodic_rows(self) -> Iterable[int]:
        record = self.record()
        if not record.marks:
            return
        for flaw in record.defects:
            if flaw.is_periodic:
                closed = self._closed_rows.get(flaw.name)
                yield from [closed] if closed is not None else self._pieces.get(flaw.name, ())

    def _judged(self, seqs: NDArray[Any], reviews: Mapping[int, Review]) -> NDArray[np.uint8]:
        judged = np.zeros(len(seqs), np.uint8)
        if reviews:
            known = np.fromiter(reviews, np.float64)
            for place in np.isin(seqs, known).nonzero()[0]:
                judged[place] = JUDGED[reviews[int(seqs[place])].verdict]
        return judged

    def _add(self, event: NumberedEvent) -> None:
        self._builder.add(event)
        self.first_seq = self.first_seq or event.seq
        if isinstance(event, StripStart):
            self._cameras.add(event.camera)
        if isinstance(event, Periodic) and event.state != "closed":
            self.open_marks.add(event.mark)
        elif isinstance(event, Periodic):
            self.open_marks.discard(event.mark)
        if isinstance(event, Defect | DefectClosed):
            self._add_row(event)

    def _add_row(self, event: Told) -> None:
        row = self.size
        flags = flags_of(event)
        if flags == CLOSED:
            for name in names_of(event):
                for piece in self._pieces.pop(name, ()):
                    self._columns["flags"][piece] |= SUPERSEDED
                    self._superseded_by[piece] = event.seq
            self._closed_rows[event.part_of] = row
        else:
            self._pieces.setdefault(event.part_of, []).append(row)
        downweb_m, crossweb_mm = place_of(event)
        edge_mm = nearest_edge_mm(event)
        values = {
            "seq": event.seq,
            "downweb_m": math.nan if downweb_m is None else downweb_m,
            "crossweb_mm": crossweb_mm,
            "length_mm": event.size_mm[1],
            "width_mm": event.size_mm[0],
            "area_mm2": event.area_mm2,
            "score": event.score,
            "peak": event.peak,
            "edge_mm": math.nan if edge_mm is None else edge_mm,
            "class_index": self.class_index.get(event.class_name, NO_CLASS),
            "side": SIDES.index(event.side),
            "flags": flags,
        }
        for name, value in values.items():
            self._columns[name].append(value)


def packed(head: dict[str, Any], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """A head and columns of equal length in one piece, as the page reads them.

    uint32 bytes of the head, the head as JSON, then each column at a multiple of `ALIGNMENT` bytes
    from the beginning; all little-endian.
    """
    parts = [
        np.ascontiguousarray(columns[name].astype(_TYPES[kind])).tobytes()
        for name, kind in _COLUMNS.items()
    ]
    room = 4 + len(_head(head, [10**12] * len(parts)))  # offsets have up to so many digits
    begin = room + -room % ALIGNMENT
    offsets, place = [], begin
    for part in parts:
        offsets.append(place)
        place += len(part) + -len(part) % ALIGNMENT
    text = _head(head, offsets).ljust(begin - 4)
    body = bytearray(place)
    body[:4] = len(text).to_bytes(4, "little")
    body[4:begin] = text
    for offset, part in zip(offsets, parts, strict=True):
        body[offset : offset + len(part)] = part
    return bytes(body)


def _head(head: dict[str, Any], offsets: Iterable[int]) -> bytes:
    columns = [
        {"name": name, "type": kind, "offset": offset}
        for (name, kind), offset in zip(_COLUMNS.items(), offsets, strict=True)
    ]
    return msgspec.json.encode({**head, "columns": columns})
