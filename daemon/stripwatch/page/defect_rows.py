"""Defects as the page shows them: one row of a table, one item of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stripwatch.config.sections import Config
from stripwatch.view.overlay import class_colour
from stripwatch.wire.event import Defect, DefectClosed, Review
from stripwatch.wire.operator import ClassInForce

WHOLE, CLOSED, SUPERSEDED, PERIODIC = 1, 2, 4, 8  # flags of a row
NO_CLASS = 255  # place of a class that the engine has no more
SIDES = ("top", "bottom")
JUDGED = {"right": 1, "wrong": 2, "other": 3}

Told = Defect | DefectClosed


def flags_of(event: Told) -> int:
    """How a defect was told: whole by one event, whole by its last, or a piece."""
    if isinstance(event, DefectClosed):
        return CLOSED
    return WHOLE if event.is_whole else 0


def nearest_edge_mm(event: Told) -> float | None:
    """The distance to the nearer edge of the strip; None: not known."""
    known = [one for one in event.edge_distance_mm if one is not None]
    return min(known) if known else None


def place_of(event: Told) -> tuple[float | None, float]:
    """Where its box begins: metres along the strip (None: not known), mm across."""
    box = event.box_mm
    if box is None:  # of an old event
        width_mm, length_mm = event.size_mm
        downweb_mm = event.position.downweb_mm
        along_mm = None if downweb_mm is None else downweb_mm - length_mm / 2
        return along_mm and along_mm / 1000, event.position.crossweb_mm - width_mm / 2
    return box.downweb_mm and box.downweb_mm[0] / 1000, box.crossweb_mm[0]


def names_of(event: Told) -> tuple[str, ...]:
    """The names that its pieces carry."""
    joined = event.joined if isinstance(event, DefectClosed) else ()
    return (event.part_of, *joined)


def live_row(event: Told, class_index: Mapping[str, int]) -> list[Any]:
    """A defect as a row of an event stream."""
    downweb_m, crossweb_mm = place_of(event)
    return [
        event.seq,
        str(event.__struct_config__.tag),
        event.strip,
        event.camera,
        event.side,
        class_index.get(event.class_name, NO_CLASS),
        _rounded(downweb_m, 4),
        _rounded(crossweb_mm, 2),
        _rounded(event.size_mm[1], 2),
        _rounded(event.size_mm[0], 2),
        _rounded(event.area_mm2, 2),
        event.score,
        event.peak,
        _rounded(nearest_edge_mm(event), 2),
        flags_of(event),
        event.part_of,
        list(event.joined) if isinstance(event, DefectClosed) else [],
    ]


def item_of(
    event: Told,
    class_index: Mapping[str, int],
    review: Review | None,
    picture_seq: int | None = None,
) -> dict[str, Any]:
    """A defect as an item of a list."""
    downweb_m, crossweb_mm = place_of(event)
    return {
        "seq": event.seq,
        "type": str(event.__struct_config__.tag),
        "strip": event.strip,
        "camera": event.camera,
        "side": event.side,
        "class_name": event.class_name,
        "class_index": class_index.get(event.class_name, NO_CLASS),
        "score": event.score,
        "peak": event.peak,
        "area_mm2": event.area_mm2,
        "length_mm": event.size_mm[1],
        "width_mm": event.size_mm[0],
        "downweb_m": downweb_m,
        "crossweb_mm": crossweb_mm,
        "edge_mm": nearest_edge_mm(event),
        "t_ns": event.t_ns,
        "picture_seq": picture_seq or event.seq,
        "review": review_item(review),
    }


def review_item(review: Review | None) -> dict[str, Any] | None:
    """A judgement, in short."""
    if review is None:
        return None
    return {
        "verdict": review.verdict,
        "class_name": review.said,
        "who": review.who,
        "t_ns": review.t_ns,
        "note": review.note,
    }


def class_items(classes: Sequence[ClassInForce]) -> list[dict[str, Any]]:
    """The classes for the page, with their colours."""
    return [
        {
            "id": entry.id,
            "name": entry.name,
            "threshold": entry.threshold,
            "min_area_px": entry.min_area_px,
            "configured_threshold": entry.configured_threshold,
            "configured_min_area_px": entry.configured_min_area_px,
            "colour": "#{:02X}{:02X}{:02X}".format(*class_colour(entry.id)),
        }
        for entry in classes
    ]


def geometry(config: Config) -> dict[str, Any]:
    """The line's cameras and sizes for the page."""
    line = config.line
    width_mm = line.frame_pixels * line.mm_per_pixel
    fields = {
        one.name: (one.crossweb_offset_mm, one.crossweb_offset_mm + width_mm)
        for one in config.cameras
    }
    return {
        "cameras": [
            {
                "name": one.name,
                "side": one.side,
                "field_mm": fields[one.name],
                "mirrored": one.mirrored,
            }
            for one in config.cameras
        ],
        "sides": sorted({one.side for one in config.cameras}, reverse=True),
        "width_mm": max(last for _, last in fields.values()),
        "frame_length_m": line.frame_lines * line.mm_per_line / 1000,
        "frame_px": line.frame_shape,
        "mm_per_px": (line.mm_per_line, line.mm_per_pixel),
        "rolls": config.rolls,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
