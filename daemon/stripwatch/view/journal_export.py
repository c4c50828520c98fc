"""Events of a journal as JSON lines, and its defects as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal

from stripwatch.errors import StorageError
from stripwatch.journal.reader import StoredEvent
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Defect, parse_event

Format = Literal["jsonl", "csv", "parquet"]
ROWS_TOGETHER = 20_000

Pages = Iterable[list[StoredEvent]]

# Columns of a defect. Masks are left out: JSON lines have them.
_COLUMNS: dict[str, type] = {
    "seq": int,
    "t_ns": int,
    "camera": str,
    "strip": str,
    "session": str,
    "frame_seq": int,
    "class_id": int,
    "class_name": str,
    "score": float,
    "peak": float,
    "area_px": int,
    "area_mm2": float,
    "x_px": int,
    "y_px": int,
    "width_px": int,
    "height_px": int,
    "downweb_mm": float,
    "crossweb_mm": float,
    "width_mm": float,
    "height_mm": float,
    "part_of": str,
    "model": str,
    "stream": str,
}


def write_events(pages: Pages, file: BinaryIO, kind: Format) -> int:
    """Write events into a file, opened for bytes; returns their number.

    Args:
        pages: the events; for CSV and Parquet only defects.
        file: is left open.
        kind: what is written.

    Raises:
        ModuleNotFoundError: Parquet needs the extra `parquet`.
        StorageError: an event is damaged.
        OSError: the file cannot be written.
    """
    match kind:
        case "jsonl":
            return _write_json_lines(pages, file)
        case "csv":
            return _write_csv(pages, file)
        case "parquet":
            return _write_parquet(pages, file)


def _write_json_lines(pages: Pages, file: BinaryIO) -> int:
    """As published: what `replay --expect` and `stripwatch-train collect` read."""
    count = 0
    for page in pages:
        file.write(b"".join(event.payload + b"\n" for event in page))
        count += len(page)
    return count


def _write_csv(pages: Pages, file: BinaryIO) -> int:
    count = 0
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for rows in _chunks(pages):
            writer.writerows(rows)
            count += len(rows)
    finally:
        text.detach()
    return count


def _write_parquet(pages: Pages, file: BinaryIO) -> int:
    import pyarrow
    from pyarrow import parquet

    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in _COLUMNS.items()])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _chunks(pages):
            columns = [list(column) for column in zip(*rows, strict=True)]
            writer.write_table(pyarrow.table(columns, schema=schema))
            count += len(rows)
    return count


def _chunks(pages: Pages) -> Iterator[list[tuple[object, ...]]]:
    """The rows of all pages, many together: each chunk is a row group of Parquet."""
    rows = (_row(stored) for page in pages for stored in page)
    while chunk := list(itertools.islice(rows, ROWS_TOGETHER)):
        yield chunk


def _row(stored: StoredEvent) -> tuple[object, ...]:
    """A defect, in the order of `_COLUMNS`."""
    try:
        event = parse_event(stored.topic.encode(), stored.payload)
    except WireError as error:
        raise StorageError(
            f"event {stored.seq} is damaged: {error.detail}; see what else is wrong with: "
            "stripwatch journal verify"
        ) from error
    assert isinstance(event, Defect), "only defects are asked for"
    return (
        event.seq,
        event.t_ns,
        event.camera,
        event.strip,
        event.session,
        event.frame_seq,
        event.class_id,
        event.class_name,
        event.score,
        event.peak,
        event.area_px,
        event.area_mm2,
        *event.bbox_px,
        event.position.downweb_mm,
        event.position.crossweb_mm,
        *event.size_mm,
        event.part_of,
        event.model,
        event.stream,
    )
