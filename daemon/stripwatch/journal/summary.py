"""What a journal holds, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from stripwatch.journal import positions
from stripwatch.journal.positions import Positions
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.schema import SCHEMA

COUNTED_AT_ONCE = 50_000  # events, so that no statement takes long

Progress = Callable[[str, int, int], None]


class CameraSummary(msgspec.Struct, frozen=True):
    """How far a camera was inspected in the latest of its sessions."""

    camera: str
    sessions: int  # that the journal still knows
    session: str  # the latest
    first_frame_seq: int
    last_frame_seq: int
    inspected: int
    missed: dict[str, int]  # by cause
    strip: str | None
    t_ns: int  # when it was booked, Unix time


class ReaderSummary(msgspec.Struct, frozen=True):
    """How far a named reader has read."""

    reader: str
    seq: int
    behind: int | None  # events that it has not read; None: its position is of another stream
    t_ns: int  # when it said so, Unix time


class Summary(msgspec.Struct, frozen=True):
    """What a journal holds. Times are Unix nanoseconds; None where there is no event."""

    folder: str
    stream: str
    schema: int
    created_ns: int
    first_seq: int
    last_seq: int
    first_t_ns: int | None
    last_t_ns: int | None
    used_bytes: int
    file_bytes: int  # with what removed events have left free; it is used again
    types: dict[str, int] | None  # events by type; None: not counted
    cameras: tuple[CameraSummary, ...]
    readers: tuple[ReaderSummary, ...]


def summarize(folder: Path, *, count_types: bool, progress: Progress) -> Summary:
    """Read a journal's figures, beside a daemon that writes it.

    Args:
        folder: of the journal.
        count_types: look at every event; 20 GB take a minute or two.
        progress: is told what is being done.

    Raises:
        StorageError: there is no journal, or it cannot be read.
    """
    with JournalReader(folder) as reader:
        bounds = reader.bounds()
        ((created_ns,),) = reader.rows("SELECT created_ns FROM journal")
        pages, free, page_bytes = (
            reader.rows(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return Summary(
            folder=str(folder),
            stream=bounds.stream,
            schema=SCHEMA,
            created_ns=created_ns,
            first_seq=bounds.first_seq,
            last_seq=bounds.last_seq,
            first_t_ns=_time_of(reader, bounds.first_seq),
            last_t_ns=_time_of(reader, bounds.last_seq),
            used_bytes=(pages - free) * page_bytes,
            file_bytes=pages * page_bytes,
            types=_types(reader, bounds.first_seq, bounds.last_seq, progress)
            if count_types
            else None,
            cameras=_cameras(reader),
            readers=_readers(folder, bounds.stream, bounds.last_seq),
        )


def _time_of(reader: JournalReader, seq: int) -> int | None:
    rows = reader.rows("SELECT t_ns FROM event WHERE seq = ?", (seq,))
    return rows[0][0] if rows else None


def _types(
    reader: JournalReader, first_seq: int, last_seq: int, progress: Progress
) -> dict[str, int]:
    types: Counter[str] = Counter()
    for begin in range(first_seq, last_seq + 1, COUNTED_AT_ONCE):
        progress("counting events", begin - first_seq, last_seq - first_seq)
        end = min(begin + COUNTED_AT_ONCE - 1, last_seq)
        types.update(
            dict(
                reader.rows(
                    "SELECT type, count(*) FROM event WHERE seq BETWEEN ? AND ? GROUP BY type",
                    (begin, end),
                )
            )
        )
    return dict(sorted(types.items()))


def _cameras(reader: JournalReader) -> tuple[CameraSummary, ...]:
    rows = reader.rows(
        "SELECT camera, count(*), session, first_seq, last_seq, inspected, missed, strip, "
        "max(t_ns) FROM coverage GROUP BY camera ORDER BY camera"  # the row of that maximum
    )
    return tuple(
        CameraSummary(
            camera=row[0],
            sessions=row[1],
            session=row[2],
            first_frame_seq=row[3],
            last_frame_seq=row[4],
            inspected=row[5],
            missed=msgspec.json.decode(row[6], type=dict[str, int]),
            strip=row[7],
            t_ns=row[8],
        )
        for row in rows
    )


def _readers(folder: Path, stream: str, last_seq: int) -> tuple[ReaderSummary, ...]:
    if not (folder / positions.FILE).exists():
        return ()
    with closing(Positions(folder)) as file:
        return tuple(
            ReaderSummary(
                reader=one.reader,
                seq=one.seq,
                behind=max(0, last_seq - one.seq) if one.stream == stream else None,
                t_ns=one.t_ns,
            )
            for one in file.all()
        )
