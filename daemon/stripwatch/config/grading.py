"""`[grading]` of config.toml: grades, and the rules that decide between them (docs/grading.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.names import STRIP_PATTERN, ClassName, StripSide

Text = Annotated[str, Meta(pattern=STRIP_PATTERN)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
Metres = Annotated[float, Meta(gt=0, le=1e6)]
Measure = Literal[
    "count",
    "count_per_100_m",
    "count_per_m2",
    "area_percent",
    "length_percent",
    "length_mm_max",
    "width_mm_max",
    "area_mm2_max",
    "not_inspected_m",
    "not_inspected_percent",
]
COVERAGE: frozenset[Measure] = frozenset(("not_inspected_m", "not_inspected_percent"))
RULES_MAX = 100
_OF_DEFECTS = (
    *("classes", "edge_distance_mm", "length_mm_min", "width_mm_min", "area_mm2_min"),
    *("score_min", "periodic", "stretch_mm"),
)


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Rule(_Section, frozen=True):
    """What a strip may have: scope, measure, limit, and the grade where it has more."""

    name: Text
    grade: Text  # of a strip that exceeds the limit
    measure: Measure
    limit: NotNegative  # the largest value that is allowed
    # Scope: which defects.
    classes: tuple[ClassName, ...] = ()  # none: all
    side: StripSide | None = None  # None: both together
    edge_distance_mm: tuple[NotNegative, NotNegative] | None = None  # to the nearer edge, from-to
    length_mm_min: NotNegative = 0.0  # along the strip
    width_mm_min: NotNegative = 0.0
    area_mm2_min: NotNegative = 0.0
    score_min: Annotated[float, Meta(ge=0, le=1)] = 0.0
    periodic: bool | None = None  # true: only roll marks; false: only others
    # Scope: where along the strip. Each stretch is measured by itself, the worst one counts.
    head_m: Metres | None = None  # only the first metres
    tail_m: Metres | None = None  # only the last metres
    without_head_m: NotNegative = 0.0  # all but the first metres
    without_tail_m: NotNegative = 0.0
    sector_m: Metres | None = None  # every stretch of so many metres
    stretch_mm: NotNegative = 0.0  # by which `length_percent` lengthens a defect at both ends


class Grading(_Section, frozen=True):
    """The grades, and the rules of an order or a customer."""

    rule_set: Text = "unnamed"  # name and version, for the verdict
    grades: tuple[Text, ...] = ()  # best first
    rules: Annotated[tuple[Rule, ...], Meta(max_length=RULES_MAX)] = ()
    cut_margin_m: NotNegative = 0.0  # cut out before and behind what exceeds a limit
    piece_m_min: NotNegative = 0.0  # shorter pieces between two cuts cannot be used


def wrong_grading(grading: Grading, sides: Iterable[StripSide]) -> list[str]:
    """What is wrong with rules beyond the types of their keys, each with what is allowed.

    Args:
        grading: the grades and rules.
        sides: that the cameras see.
    """
    mistakes: list[str] = []
    if bool(grading.grades) != bool(grading.rules):
        mistakes.append("grading.grades and [[grading.rules]] go together; one is missing")
    if len(grading.grades) == 1:
        mistakes.append("grading.grades: expected at least two, the best first")
    names = [rule.name for rule in grading.rules]
    for key, values in (("grading.grades", grading.grades), ("grading.rules.name", names)):
        mistakes += [
            f"{key} = {value!r} is given twice; names must be unique"
            for value in dict.fromkeys(values)
            if values.count(value) > 1
        ]
    seen = sorted(set(sides))
    for rule in grading.rules:
        mistakes += [f"grading.rules {rule.name!r}: {text}" for text in _wrong(rule, grading, seen)]
    return mistakes


def _wrong(rule: Rule, grading: Grading, sides: list[StripSide]) -> Iterator[str]:
    if grading.grades and rule.grade not in grading.grades[1:]:
        allowed = ", ".join(map(repr, grading.grades[1:]))
        why = "is the best one" if rule.grade == grading.grades[0] else "is not in grading.grades"
        yield f"grade = {rule.grade!r} {why}; allowed: {allowed}"
    if rule.side and rule.side not in sides:
        yield f"side = {rule.side!r}: no camera sees it; allowed: {', '.join(map(repr, sides))}"
    pair = rule.edge_distance_mm
    if pair and pair[0] >= pair[1]:
        yield f"edge_distance_mm = {list(pair)}: expected [from, to], the smaller first"
    ends = rule.head_m or rule.tail_m
    if ends and (rule.without_head_m or rule.without_tail_m or rule.sector_m):
        yield (
            "head_m and tail_m take only the ends of the strip; without_head_m, without_tail_m "
            "and sector_m divide what is between them: give one or the other"
        )
    if rule.stretch_mm and rule.measure != "length_percent":
        yield f"stretch_mm belongs to measure = 'length_percent', not to {rule.measure!r}"
    if rule.measure in COVERAGE:
        given = [
            field.name
            for field in msgspec.structs.fields(Rule)
            if field.name in _OF_DEFECTS and getattr(rule, field.name) != field.default
        ]
        if given:
            yield (
                f"{given[0]} chooses defects, but {rule.measure} measures frames; allowed beside "
                "it: side, head_m, tail_m, without_head_m, without_tail_m, sector_m"
            )


def sides_without_coverage(grading: Grading, sides: Iterable[StripSide]) -> tuple[StripSide, ...]:
    """The sides of the strip on which no rule limits what was not inspected, over its length."""
    covered = {
        side
        for rule in grading.rules
        if rule.measure in COVERAGE
        and not (rule.head_m or rule.tail_m)
        and not (rule.without_head_m or rule.without_tail_m)
        for side in sides
        if rule.side in (None, side)
    }
    return tuple(sorted(set(sides) - covered))
