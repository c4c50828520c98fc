"""The tables of a report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from stripwatch.inspect.grading.record import Flaw, StripRecord
from stripwatch.inspect.grading.scope import touches
from stripwatch.view.report.markup import Markup, chip, paragraph, table, text
from stripwatch.view.verdict_text import place_text, value_text
from stripwatch.wire.verdict import Measured, Verdict

PLACES_SHOWN = 6
SECTOR_M = 100.0
SECTORS_MAX = 200  # beyond it sectors are longer


def rules_table(verdict: Verdict) -> str:
    """Each rule with what it measured, and where it is exceeded."""
    return table(
        ("rule", "measured", "grade", "where"),
        (
            (
                rule.rule,
                value_text(rule),
                chip(rule.grade, verdict.grades) if rule.exceeded else "kept",
                _where(rule),
            )
            for rule in verdict.rules
        ),
    )


def classes_table(record: StripRecord) -> str:
    """Whole defects by class and side."""
    groups: dict[tuple[str, str], list[Flaw]] = {}
    for flaw in record.defects:
        groups.setdefault((flaw.class_name, flaw.side), []).append(flaw)
    if not groups:
        return paragraph("No defects were found.")
    columns = ("class", "side", "#defects", "#area mm²", "#longest mm", "#widest mm")
    return table(
        (*columns, "#of roll marks"),
        (
            (
                name,
                side,
                len(flaws),
                f"{sum(flaw.area_mm2 for flaw in flaws):,.0f}",
                f"{max(flaw.length_mm for flaw in flaws):,.1f}",
                f"{max(flaw.width_mm for flaw in flaws):,.1f}",
                sum(flaw.is_periodic for flaw in flaws),
            )
            for (name, side), flaws in sorted(groups.items())
        ),
    )


def sectors_table(record: StripRecord) -> str:
    """Defects by class in each 100 m, and how much of it was inspected on each side."""
    length_mm = record.length_mm
    sector_m = SECTOR_M * max(1, math.ceil(length_mm / 1000 / SECTOR_M / SECTORS_MAX))
    names = sorted({flaw.class_name for flaw in record.defects})
    rows: list[list[object]] = []
    placed = [flaw for flaw in record.defects if flaw.along_mm]
    for number in range(max(1, math.ceil(length_mm / 1000 / sector_m - 1e-9))):
        span = (1000 * sector_m * number, min(length_mm, 1000 * sector_m * (number + 1)))
        counts = Counter(flaw.class_name for flaw in placed if touches(flaw, span))
        length = span[1] - span[0]
        shares = [share_text(record.inspected_mm(side, span), length) for side in record.sides]
        name = f"{span[0] / 1000:g} - {span[1] / 1000:g} m"
        rows.append([name, *(counts[one] or "" for one in names), *shares])
    unplaced = Counter(flaw.class_name for flaw in record.defects if not flaw.along_mm)
    if unplaced:
        cells = [unplaced[one] or "" for one in names]
        rows.append(["place unknown", *cells, *("" for _ in record.sides)])
    inspected = (f"#{side} inspected" for side in record.sides)
    return table(("stretch", *(f"#{name}" for name in names), *inspected), rows)


def coverage_table(record: StripRecord) -> str:
    """What each camera inspected, and what it missed for which cause."""
    causes = sorted({blind.cause for blind in record.blind})
    rows = []
    for camera in record.cameras.values():
        missed = Counter[str]()
        for blind in record.blind:
            if blind.camera == camera.name:
                missed[blind.cause] += blind.length_mm / 1000  # type: ignore[assignment]
        left, right = camera.field_mm
        if camera.metres_inspected is None:
            inspected = "not told yet" if camera.has_begun else "0"
        else:
            inspected = f"{camera.metres_inspected:,.2f}"
        rows.append(
            [
                f"{camera.name} ({camera.side})",
                f"{left:g} - {right:g} mm",
                inspected,
                *(f"{missed[cause]:,.2f}" if missed[cause] else "" for cause in causes),
            ]
        )
    columns = ("camera (side)", "field across", "#inspected m")
    return table((*columns, *(f"#{cause} m" for cause in causes)), rows)


def marks_table(record: StripRecord) -> str:
    """Roll marks with period, lane and the rolls that match."""
    if not record.marks:
        return paragraph("None was found.")
    return table(
        ("side", "#lane mm", "#period mm", "from - to", "#teeth", "#missed", "rolls", "#chance"),
        (
            (
                mark.side,
                f"{mark.lane_mm:.1f}",
                f"{mark.period_mm:.1f}",
                f"{mark.first_mm / 1000:.2f} - {mark.last_mm / 1000:.2f} m",
                mark.teeth,
                mark.missed_teeth,
                ", ".join(mark.rolls) or "none of the table",
                f"{mark.p_value:.1g}",
            )
            for mark in record.marks
        ),
    )


def sides_text(record: StripRecord) -> str:
    """Which sides were inspected, and which share of the length in its whole width."""
    parts = []
    for side in ("top", "bottom"):
        if side not in record.sides:
            parts.append(f"{side} side: not inspected")
            continue
        whole = (0.0, record.length_mm)
        unknown_mm = record.blind_unplaced_mm(side)
        inspected_mm = max(0.0, record.inspected_mm(side, whole) - unknown_mm)
        parts.append(
            f"{side} side: {share_text(inspected_mm, record.length_mm)} of the length inspected, "
            f"{record.width_mm(side):g} mm wide"
        )
    return "; ".join(parts)


def share_text(part: float, whole: float) -> str:
    """A share in per cent, never rounded up to all of it."""
    if whole <= 0:
        return "-"
    return f"{math.floor(10_000 * part / whole + 1e-6) / 100:g} %"


def _where(rule: Measured) -> Markup:
    rows = [text(place_text(place)) for place in rule.places[:PLACES_SHOWN]]
    if rule.places_total > PLACES_SHOWN:
        rows.append(f"and {rule.places_total - PLACES_SHOWN} more")
    return Markup("<br>".join(rows))


def spans_text(spans: Sequence[tuple[float, float]]) -> str:
    """Stretches in metres, in a row."""
    return ", ".join(f"{first:g} - {last:g} m" for first, last in spans)
