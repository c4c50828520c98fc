"""Verdicts and rule sets in words."""

from __future__ import annotations

from stripwatch.config.grading import sides_without_coverage
from stripwatch.config.sections import Config
from stripwatch.inspect.grading.grade import without_coverage_text
from stripwatch.wire.verdict import Measured, Place, Verdict

PLACES_SHOWN = 5
CUTS_SHOWN = 20


def grading_texts(config: Config) -> list[str]:
    """The rule set of a configuration, and what limits it; one line each."""
    grading = config.grading
    if not grading.rules:
        return ["none: strips get no grade"]
    texts = [f"{grading.rule_set}: {_count(len(grading.rules))}; {' > '.join(grading.grades)}"]
    uncovered = sides_without_coverage(grading, {camera.side for camera in config.cameras})
    if uncovered:
        texts.append(without_coverage_text(uncovered, grading.grades[0]))
    return texts


def verdict_text(strip: str, verdict: Verdict) -> str:
    """The grade, what decided it, and what to cut out."""
    so_far = "" if verdict.is_final else " so far"
    rows = [
        f"strip {strip}: {verdict.grade}{so_far}, of {' > '.join(verdict.grades)}",
        f"  rules    {verdict.rule_set}",
        f"  length   {verdict.length_m:g} m, usable {verdict.usable_m:g} m",
    ]
    for rule in verdict.rules:
        rows += [f"  {row}" for row in measured_rows(rule)]
    if verdict.cut_m:
        shown = ", ".join(f"{first:g}-{last:g}" for first, last in verdict.cut_m[:CUTS_SHOWN])
        more = len(verdict.cut_m) - CUTS_SHOWN
        rows.append(f"  cut out  {shown} m" + (f" and {more} more" if more > 0 else ""))
    rows += [f"  note     {remark}" for remark in verdict.remarks]
    return "\n".join(rows) + "\n"


def measured_rows(rule: Measured) -> list[str]:
    """One rule: what was measured, its limit, and the first places beyond it."""
    mark = f"{rule.grade:<8}" if rule.exceeded else "kept    "
    unplaced = f" ({rule.unplaced} by assumption)" if rule.unplaced else ""
    rows = [f"{mark} {rule.rule}: {value_text(rule)}{unplaced}"]
    rows += [f"           {place_text(place)}" for place in rule.places[:PLACES_SHOWN]]
    if rule.places_total > PLACES_SHOWN:
        rows.append(f"           and {rule.places_total - PLACES_SHOWN} more")
    return rows


def value_text(rule: Measured) -> str:
    """Measure, value and limit with their unit."""
    unit = f" {rule.unit}" if rule.unit else ""
    return f"{rule.measure} {rule.value:g}{unit}, limit {rule.limit:g}{unit}"


def place_text(place: Place) -> str:
    """What, where along and across the strip, and the number of its event."""
    along = "at an unknown place"
    if place.downweb_mm:
        first, last = place.downweb_mm
        along = f"{first / 1000:.3f}-{last / 1000:.3f} m"
    across = ""
    if place.crossweb_mm:
        across = f", {place.crossweb_mm[0]:.1f}-{place.crossweb_mm[1]:.1f} mm across"
    event = f", event {place.seq}" if place.seq else ""
    return f"{place.side}: {place.what} {along}{across}{event}"


def _count(rules: int) -> str:
    return "1 rule" if rules == 1 else f"{rules} rules"
