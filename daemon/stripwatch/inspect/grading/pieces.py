"""Pieces of a defect, one in each frame, to the whole of it."""

from __future__ import annotations

from collections.abc import Iterable

from stripwatch.inspect.grading.intervals import Interval
from stripwatch.inspect.grading.record import Flaw
from stripwatch.wire.event import Defect


def flaw_of(event: Defect) -> Flaw:
    """The defect of one piece."""
    box = event.box_mm
    width_mm, length_mm = event.size_mm
    if box is None:  # an event from before boxes had places: around the centroid
        along_at, across_at = event.position.downweb_mm, event.position.crossweb_mm
        across: Interval = (across_at - width_mm / 2, across_at + width_mm / 2)
        along = None if along_at is None else (along_at - length_mm / 2, along_at + length_mm / 2)
    else:
        across, along = box.crossweb_mm, box.downweb_mm
    return Flaw(
        name=event.part_of,
        seq=event.seq,
        camera=event.camera,
        side=event.side,
        class_id=event.class_id,
        class_name=event.class_name,
        score=event.score,
        peak=event.peak,
        area_mm2=event.area_mm2,
        along_mm=along,
        across_mm=across,
        length_mm=length_mm,
        width_mm=width_mm,
        edge_distance_mm=event.edge_distance_mm,
    )


def join(whole: Flaw, piece: Flaw) -> None:
    """Add a piece: boxes are united, scores are means by area."""
    area = whole.area_mm2 + piece.area_mm2 or 1.0  # of pixels too small for two digits: 0
    whole.score = (whole.score * whole.area_mm2 + piece.score * piece.area_mm2) / area
    whole.peak = max(whole.peak, piece.peak)
    whole.area_mm2 += piece.area_mm2
    whole.pieces += piece.pieces
    whole.across_mm = _hull(whole.across_mm, piece.across_mm)
    whole.width_mm = whole.across_mm[1] - whole.across_mm[0]
    if whole.along_mm is None or piece.along_mm is None:
        whole.length_mm += piece.length_mm
    else:
        whole.along_mm = _hull(whole.along_mm, piece.along_mm)
        whole.length_mm = whole.along_mm[1] - whole.along_mm[0]
    left, right = zip(whole.edge_distance_mm, piece.edge_distance_mm, strict=True)
    whole.edge_distance_mm = (_smallest(left), _smallest(right))


def _smallest(distances: Iterable[float | None]) -> float | None:
    return min((one for one in distances if one is not None), default=None)


def _hull(one: Interval, other: Interval) -> Interval:
    return (min(one[0], other[0]), max(one[1], other[1]))
