"""The whole defects of a strip as CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from stripwatch.inspect.grading.record import Flaw

COLUMNS: dict[str, type] = {
    "seq": int,
    "part_of": str,
    "camera": str,
    "side": str,
    "class_id": int,
    "class_name": str,
    "score": float,
    "peak": float,
    "area_mm2": float,
    "downweb_first_mm": float,
    "downweb_last_mm": float,
    "crossweb_left_mm": float,
    "crossweb_right_mm": float,
    "length_mm": float,
    "width_mm": float,
    "left_edge_distance_mm": float,
    "right_edge_distance_mm": float,
    "pieces": int,
    "is_periodic": bool,
}


def defects_csv(defects: Iterable[Flaw]) -> bytes:
    """One line for each defect, under the names of the columns."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_row, defects))
    return file.getvalue().encode()


def defects_parquet(defects: Iterable[Flaw]) -> bytes:
    """The same table as Parquet.

    Raises:
        ModuleNotFoundError: it needs the extra `parquet`.
    """
    import pyarrow
    from pyarrow import parquet

    kinds = {
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
        bool: pyarrow.bool_(),
    }
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    rows = [dict(zip(COLUMNS, _row(flaw), strict=True)) for flaw in defects]
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file, compression="zstd")
    return file.getvalue()


def _row(flaw: Flaw) -> tuple[object, ...]:
    """A defect, in the order of `COLUMNS`."""
    return (
        flaw.seq,
        flaw.name,
        flaw.camera,
        flaw.side,
        flaw.class_id,
        flaw.class_name,
        round(flaw.score, 4),
        flaw.peak,
        round(flaw.area_mm2, 2),
        *(flaw.along_mm or (None, None)),
        *flaw.across_mm,
        round(flaw.length_mm, 2),
        round(flaw.width_mm, 2),
        *flaw.edge_distance_mm,
        flaw.pieces,
        flaw.is_periodic,
    )
