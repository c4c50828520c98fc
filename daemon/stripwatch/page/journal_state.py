"""What the journal says about now: its extent, its disk, its readers, and the open strips."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec

from stripwatch.config.sections import Config
from stripwatch.errors import StorageError
from stripwatch.inspect.events import StripTally
from stripwatch.journal import positions
from stripwatch.journal.positions import Positions
from stripwatch.journal.reader import Bounds, JournalReader
from stripwatch.journal.strips import backward
from stripwatch.page.unnamed import Booked
from stripwatch.wire.event import StripStart, parse_event

COUNTED_MAX = 20_000  # events that are looked at for the count of defects


class JournalState(msgspec.Struct, frozen=True, kw_only=True):
    """The journal at one moment."""

    stream: str
    first_seq: int
    last_seq: int
    journal: dict[str, Any]
    readers: tuple[dict[str, Any], ...]
    strips: tuple[dict[str, Any], ...]
    sessions: dict[str, Booked]  # by camera, where no coil ids are sent
    defects: int  # pieces, since a number


def journal_state(reader: JournalReader, config: Config, defects_after: int) -> JournalState:
    """Look at the journal.

    Args:
        reader: of it.
        config: the limits and the geometry.
        defects_after: defects with a larger number are counted, unless there are very many.

    Raises:
        StorageError: it cannot be read.
    """
    bounds = reader.bounds()
    pages, free, page_bytes = (
        reader.rows(f"PRAGMA {name}")[0][0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    ((defects,),) = reader.rows(
        "SELECT count(*) FROM event WHERE seq > ? AND type = 'defect'",
        (max(defects_after, bounds.last_seq - COUNTED_MAX),),
    )
    return JournalState(
        stream=bounds.stream,
        first_seq=bounds.first_seq,
        last_seq=bounds.last_seq,
        journal={
            "used_bytes": (pages - free) * page_bytes,
            "file_bytes": pages * page_bytes,
            "disk_free_bytes": _disk_free(reader),
            "limit_bytes": round(config.journal.gigabytes_max * 1e9),
            "events": bounds.last_seq - bounds.first_seq + 1 if bounds.last_seq else 0,
            "error": "",
        },
        readers=tuple(_readers(reader, bounds)),
        strips=tuple(_strips(reader, config)),
        sessions=_sessions(reader, config),
        defects=defects,
    )


def _disk_free(reader: JournalReader) -> int | None:
    try:
        return shutil.disk_usage(reader.path.parent).free
    except OSError:
        return None


def _readers(reader: JournalReader, bounds: Bounds) -> Iterator[dict[str, Any]]:
    folder = reader.path.parent
    if not (folder / positions.FILE).exists():
        return
    try:
        with closing(Positions(folder, read_only=True)) as file:
            kept = file.all()
    except StorageError:
        return  # the journal itself can be read
    for one in kept:
        is_ours = one.stream == bounds.stream
        yield {
            "reader": one.reader,
            "seq": one.seq,
            "behind": max(0, bounds.last_seq - one.seq) if is_ours else None,
            "t_ns": one.t_ns,
        }


def _strips(reader: JournalReader, config: Config) -> Iterator[dict[str, Any]]:
    """The strip that is under each camera; None where none is open."""
    open_strips = dict(reader.rows("SELECT camera, tally FROM open_strip"))
    metres_per_line = config.line.mm_per_line / 1000
    for camera in config.cameras:
        tally = None
        if camera.name in open_strips:
            tally = msgspec.json.decode(open_strips[camera.name], type=StripTally)
        lines = tally.lines_inspected + sum(tally.lines_missed.values()) if tally else 0
        yield {
            "camera": camera.name,
            "strip": tally.strip if tally else None,
            "length_m": round(lines * metres_per_line, 3) if tally else None,
        }


def _sessions(reader: JournalReader, config: Config) -> dict[str, Booked]:
    """The latest session of each camera; none where the line sends coil ids.

    Raises:
        StorageError: the journal cannot be read.
    """
    found: dict[str, Booked] = {}
    for camera, *row in reader.rows(
        "SELECT camera, session, first_seq, last_seq, max(t_ns) FROM coverage GROUP BY camera"
    ):
        found[camera] = Booked(*row)
    is_open = {camera for (camera,) in reader.rows("SELECT camera FROM open_strip")}
    if any(one.name in is_open for one in config.cameras):
        return {}
    for topic, payload in backward(reader, "strip_start", ("topic", "payload"), 1):
        start = parse_event(topic.encode(), payload)
        assert isinstance(start, StripStart)
        if start.camera in found and found[start.camera].session == start.session:
            return {}
    return {one.name: found[one.name] for one in config.cameras if one.name in found}
