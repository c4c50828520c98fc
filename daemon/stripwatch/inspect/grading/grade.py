"""Rules over a strip's record: the grade, why, and what to cut out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from stripwatch.config.grading import Grading, Rule, sides_without_coverage
from stripwatch.inspect.grading.intervals import Interval, between, clip, total, union
from stripwatch.inspect.grading.measure import UNITS, Found, measure
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.inspect.grading.scope import choose, stretches, with_candidates
from stripwatch.wire.names import StripSide
from stripwatch.wire.verdict import CUTS_MAX, PLACES_MAX, Measured, Place, Verdict

DIGITS = 6


def grade(
    grading: Grading, record: StripRecord, source: Literal["daemon", "journal"] = "journal"
) -> Verdict:
    """The verdict on a strip: the worst grade of the rules that it exceeds.

    Args:
        grading: grades and rules, checked; at least one rule.
        record: the strip, whole or as far as it has passed.
        source: where its events were taken from.
    """
    assert grading.rules, "without rules there is no verdict"
    measured: list[Measured] = []
    places: list[Place] = []
    for rule in grading.rules:
        result, where = _evaluate(rule, record)
        measured.append(result)
        places += where
    ranks = {name: rank for rank, name in enumerate(grading.grades)}
    worst = max((ranks[one.grade] for one in measured if one.exceeded), default=0)
    whys_not_best = list(_whys_not_best(grading, record))
    if whys_not_best:
        worst = max(worst, 1)
    whole = (0.0, record.length_mm)
    cuts = _cuts(grading, places, whole)
    pieces = between(cuts, whole)
    usable = [one for one in pieces if one[1] - one[0] >= 1000 * grading.piece_m_min]
    return Verdict(
        grade=grading.grades[worst],
        grades=grading.grades,
        rule_set=grading.rule_set,
        is_final=record.has_ended,
        source=source,
        length_m=round(record.length_mm / 1000, DIGITS),
        rules=tuple(measured),
        cut_m=tuple((_metres(first), _metres(last)) for first, last in cuts[:CUTS_MAX]),
        usable_m=_metres(total(usable)),
        remarks=(*whys_not_best, *_remarks(record, places, cuts)),
    )


def _evaluate(rule: Rule, record: StripRecord) -> tuple[Measured, list[Place]]:
    """What a rule measures in its worst stretch, and the places of all stretches beyond it."""
    chosen = choose(rule, record)
    found = [
        measure(rule, record, candidates, stretch)
        for stretch, candidates in with_candidates(chosen, stretches(rule, record.length_mm))
    ]
    # What is told is what is compared: no limit is exceeded by a rounding error.
    beyond = [one for one in found if round(one.value, DIGITS) > rule.limit]
    places = _places(beyond)
    return (
        Measured(
            rule=rule.name,
            measure=rule.measure,
            limit=rule.limit,
            value=round(max(one.value for one in found), DIGITS),
            unit=UNITS[rule.measure],
            exceeded=bool(beyond),
            grade=rule.grade,
            places=tuple(places[:PLACES_MAX]),
            places_total=len(places),
            unplaced=sum(one.is_assumed for one in chosen),
        ),
        places,
    )


def _places(beyond: Iterable[Found]) -> list[Place]:
    """The defects and gaps of several stretches, each once, in order along the strip."""
    places: dict[tuple[object, ...], Place] = {}
    for found in beyond:
        for one in found.defects:
            flaw = one.flaw
            places["defect", flaw.name] = Place(
                flaw.side, flaw.class_name, flaw.along_mm, flaw.across_mm, flaw.seq or None
            )
        for blind in found.blind:
            places["gap", id(blind)] = Place(
                blind.side, blind.cause, blind.along_mm, None, blind.seq or None
            )
    return sorted(places.values(), key=lambda place: place.downweb_mm or (-1.0, -1.0))


def _cuts(grading: Grading, places: Sequence[Place], whole: Interval) -> list[Interval]:
    margin_mm = 1000 * grading.cut_margin_m
    return clip(
        union(
            (place.downweb_mm[0] - margin_mm, place.downweb_mm[1] + margin_mm)
            for place in places
            if place.downweb_mm
        ),
        whole,
    )


def _whys_not_best(grading: Grading, record: StripRecord) -> Iterable[str]:
    best = grading.grades[0]
    uncovered: tuple[StripSide, ...] = sides_without_coverage(grading, record.sides)
    if uncovered:
        yield without_coverage_text(uncovered, best)
    if record.pieces_lacking:
        yield (
            f"{record.pieces_lacking} defects that the strip's report counts are not in the "
            f"journal any more, so the strip cannot be {best!r}"
        )
    if record.left_out:
        yield (
            f"{record.left_out} events of the strip had no room in the daemon, so it cannot be "
            f"{best!r} here; stripwatch grade counts all"
        )
    if not record.length_mm:
        yield f"nothing is known of the strip's length, so it cannot be {best!r}"


def without_coverage_text(sides: Sequence[StripSide], best: str) -> str:
    """What is said of rules that do not ask whether the strip was looked at."""
    return (
        f"no rule limits what was not inspected of side {' and '.join(sides)} over the whole "
        f"strip, so no strip can be {best!r}; add one with measure = 'not_inspected_m'"
    )


def _remarks(
    record: StripRecord, places: Sequence[Place], cuts: Sequence[Interval]
) -> Iterable[str]:
    if not record.has_ended:
        yield "the strip has not ended: this is its grade so far"
    unplaced = sum(place.downweb_mm is None for place in places)
    if unplaced:
        yield f"places beyond a limit that cannot be cut out, since they are not known: {unplaced}"
    if len(cuts) > CUTS_MAX:
        yield f"{len(cuts)} cuts, of which the first {CUTS_MAX} are named"


def _metres(mm: float) -> float:
    return round(mm / 1000, DIGITS)
