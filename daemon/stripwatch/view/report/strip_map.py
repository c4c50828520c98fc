"""The map of a strip as SVG: rows of equal length, to scale along and across."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from stripwatch.inspect.grading.intervals import Interval, between, clip, union
from stripwatch.inspect.grading.record import Flaw, Mark, StripRecord
from stripwatch.view.overlay import class_colour
from stripwatch.view.report.markup import grade_colour, text
from stripwatch.wire.names import StripSide
from stripwatch.wire.verdict import Verdict

ROWS_MAX = 8
WIDTH = 1000.0  # of a row, in units of the drawing
LEFT = 44.0  # of it for the side's name
RIGHT = 6.0  # of it for the end of the last number
SIDE_HEIGHT = 46.0
BAND = 7.0  # the grade along the strip
GAP = 4.0
AXIS = 16.0
SMALLEST = 3.0  # of a defect as drawn
DEFECTS_DRAWN_MAX = 20_000
HATCH = """<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse"
patternTransform="rotate(45)"><rect width="5" height="5" fill="#eaeef2"/>
<line x1="0" y1="0" x2="0" y2="5" stroke="#57606a" stroke-width="1.6"/></pattern></defs>
"""
STEPS = (1, 2, 2.5, 5, 10)


def row_length_m(length_m: float) -> float:
    """A round length, of which the strip has at most `ROWS_MAX`."""
    least = max(length_m / ROWS_MAX, 1.0)
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least)


def strip_map(record: StripRecord, verdict: Verdict | None) -> str:
    """The rows of the map, one SVG each, so that a page of paper may end between two."""
    row_m = row_length_m(record.length_mm / 1000)
    count = max(1, math.ceil(record.length_mm / 1000 / row_m - 1e-9))
    defects = sorted(record.defects, key=lambda flaw: -flaw.area_mm2)[:DEFECTS_DRAWN_MAX]
    spans = [(1000 * row_m * row, 1000 * row_m * (row + 1)) for row in range(count)]
    return "".join(_row(record, verdict, defects, span) for span in spans)


def legend(record: StripRecord) -> str:
    """The colours of the classes, and what else the map shows."""
    classes = sorted({(flaw.class_id, flaw.class_name) for flaw in record.defects})
    entries = [
        f'<span><i class="swatch" style="background:{_colour(number)}"></i>{text(name)}</span>'
        for number, name in classes
    ]
    entries.append(
        '<span><i class="swatch" style="background:repeating-linear-gradient(45deg,#57606a 0 1px,'
        '#eaeef2 1px 3px)"></i>not inspected</span>'
    )
    if record.marks:
        entries.append("<span>- - - lane of a roll mark</span>")
    return f'<p class="legend small">{"".join(entries)}</p>\n'


def _row(
    record: StripRecord, verdict: Verdict | None, defects: Sequence[Flaw], span: Interval
) -> str:
    scale = (WIDTH - LEFT - RIGHT) / (span[1] - span[0])
    end = min(span[1], record.length_mm)
    top = BAND + GAP
    height = top + len(record.sides) * (SIDE_HEIGHT + GAP) + AXIS
    name = f"strip from {span[0] / 1000:g} m to {end / 1000:g} m"
    size = f"0 0 {WIDTH:g} {height:g}"
    parts = [f'<svg viewBox="{size}" role="img" aria-label="{name}">', HATCH]
    if verdict:
        parts += _grade_band(verdict, (span[0], end), scale)
    for number, side in enumerate(record.sides):
        y = top + number * (SIDE_HEIGHT + GAP)
        parts += _side(record, side, defects, (span[0], end), scale, y)
    parts += _axis(span, scale, height - AXIS)
    parts.append("</svg>\n")
    return "".join(parts)


def _grade_band(verdict: Verdict, span: Interval, scale: float) -> Iterator[str]:
    """What exceeds a limit in the colour of its worst grade; the rest in that of the best."""
    left = [span]
    for grade in reversed(verdict.grades):  # the worst covers the others
        places = union(
            place.downweb_mm
            for rule in verdict.rules
            if rule.exceeded and rule.grade == grade
            for place in rule.places
            if place.downweb_mm
        )
        colour = grade_colour(grade, verdict.grades)
        if grade == verdict.grades[0]:
            places = [span]
        for free in left:
            for first, last in clip(places, free):
                yield _rect(first - span[0], last - first, scale, 0, BAND, f'fill="{colour}"')
        left = [piece for free in left for piece in between(places, free)]


def _side(
    record: StripRecord,
    side: StripSide,
    defects: Sequence[Flaw],
    span: Interval,
    scale: float,
    y: float,
) -> Iterator[str]:
    across = _across(record, side)
    unit = SIDE_HEIGHT / (across[1] - across[0])
    yield f'<text x="0" y="{y + SIDE_HEIGHT / 2 + 4:.1f}" font-size="13">{text(side)}</text>'
    yield _rect(0, span[1] - span[0], scale, y, SIDE_HEIGHT, 'fill="#dbe4ec" stroke="#57606a"')
    for first, last in clip(record.blind_along(side), span):
        yield _rect(first - span[0], last - first, scale, y, SIDE_HEIGHT, 'fill="url(#hatch)"')
    for mark in record.marks:
        if mark.side == side:
            yield from _lane(mark, span, scale, y + (mark.lane_mm - across[0]) * unit)
    for flaw in defects:
        if flaw.side == side and flaw.along_mm and clip([flaw.along_mm], span):
            first, last = clip([flaw.along_mm], span)[0]
            low = max(flaw.across_mm[0], across[0])
            top = y + (low - across[0]) * unit
            height = max(SMALLEST, (min(flaw.across_mm[1], across[1]) - low) * unit)
            paint = f'fill="{_colour(flaw.class_id)}"'
            yield _rect(first - span[0], last - first, scale, top, height, paint)


def _lane(mark: Mark, span: Interval, scale: float, y: float) -> Iterator[str]:
    for first, last in clip([(mark.first_mm, mark.last_mm)], span):
        x1, x2 = (LEFT + (at - span[0]) * scale for at in (first, last))
        yield (
            f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="#a40e26" '
            'stroke-width="1" stroke-dasharray="4 3"/>'
        )


def _axis(span: Interval, scale: float, y: float) -> Iterator[str]:
    step_mm = (span[1] - span[0]) / 5
    for number in range(6):
        x = LEFT + number * step_mm * scale
        anchor = "start" if number == 0 else "end" if number == 5 else "middle"
        at_m = (span[0] + number * step_mm) / 1000
        ends = f'x1="{x:.1f}" y1="{y - 2:.1f}" x2="{x:.1f}" y2="{y + 3:.1f}"'
        yield f'<line {ends} stroke="#57606a"/>'
        yield (
            f'<text x="{x:.1f}" y="{y + 14:.1f}" font-size="11" text-anchor="{anchor}">'
            f"{at_m:g} m</text>"
        )


def _rect(
    from_mm: float, length_mm: float, scale: float, y: float, height: float, paint: str
) -> str:
    x, width = LEFT + from_mm * scale, max(SMALLEST / 2, length_mm * scale)
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {paint}/>'


def _across(record: StripRecord, side: StripSide) -> Interval:
    """What is drawn of the width: from edge to edge where they are known, else the fields."""
    fields = [one.field_mm for one in record.cameras.values() if one.side == side]
    return record.edges_mm.get(
        side, (min(left for left, _ in fields), max(right for _, right in fields))
    )


def _colour(class_id: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*class_colour(class_id))
