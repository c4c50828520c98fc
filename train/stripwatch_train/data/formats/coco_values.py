"""Values of a COCO file as tools write them: whole numbers, ids, polygons and run lengths."""

from __future__ import annotations

import re
from typing import Any

from stripwatch_train.data.formats.coco_records import Id, RunLengths

POLYGONS = "polygons are [[x1, y1, x2, y2, x3, y3, ...], ...], a list in a list"
MASKS = f'{POLYGONS}; run lengths are {{"size": [lines, pixels], "counts": ...}}'

Json = Any  # of any type of JSON
Mask = RunLengths | list[list[float]] | None


class MaskFault(Exception):
    """A segmentation that cannot be read; its text says why."""


def parse_mask(value: Json) -> tuple[Mask, bool]:
    """A segmentation, and whether it was a polygon without the list around it.

    Raises:
        MaskFault: it is neither polygons nor run lengths.
    """
    if value is None or value == []:
        return None, False
    if isinstance(value, dict):
        return _run_lengths(value), False
    if not isinstance(value, list):
        raise MaskFault(f"its segmentation is {kind_of(value)}; {MASKS}")
    if all(map(is_number, value)):
        if len(value) < 6:
            raise MaskFault(
                f"its segmentation is a list of {len(value)} numbers, which is no polygon; "
                f"{POLYGONS}"
            )
        return [value], True
    if len(value) > 2 and all(map(_is_point, value)):
        return [_flat(value)], True
    return list(map(_polygon, value)), False


def _polygon(value: Json) -> list[float]:
    """The numbers of a polygon, also of one that is written as points."""
    inner = value if isinstance(value, list) else [value]
    if isinstance(value, list) and all(map(is_number, value)):
        return value
    if isinstance(value, list) and all(map(_is_point, value)):
        return _flat(value)
    wrong = next(entry for entry in inner if not is_number(entry) or inner is not value)
    raise MaskFault(
        f"its segmentation has {kind_of(wrong)} where a polygon has numbers; {POLYGONS}"
    )


def _run_lengths(value: dict[str, Json]) -> RunLengths:
    size, counts = value.get("size"), value.get("counts")
    sides = [whole(side) for side in size] if isinstance(size, list) else []
    if len(sides) != 2 or sides[0] is None or sides[1] is None:
        raise MaskFault("its run lengths have no size [lines, pixels]")
    if isinstance(counts, str):
        return RunLengths((sides[0], sides[1]), counts)
    if not isinstance(counts, list):
        raise MaskFault("its run lengths have no counts (a list, or text)")
    lengths = [number for count in counts if (number := whole(count)) is not None]
    if len(lengths) != len(counts):
        raise MaskFault("its counts hold something else than whole numbers")
    return RunLengths((sides[0], sides[1]), lengths)


def id_of(value: Json) -> Id | None:
    """An id: a whole number also where it is written as 7.0 or "7"; other text as it is."""
    number = whole(value)
    if number is not None:
        return number
    return value if isinstance(value, str) and value else None


def whole(value: Json) -> int | None:
    """A whole number, also one that is written as 64.0 or "64"; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_number(value: Json) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_point(value: Json) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _flat(points: list[list[float]]) -> list[float]:
    return [number for point in points for number in point]


def kind_of(value: Json) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "null" if value is None else f"{value!r}".lower()
