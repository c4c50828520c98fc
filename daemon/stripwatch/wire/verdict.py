"""The verdict on a strip: its grade, and for each rule what was measured and where."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.names import Count, StripSide

PLACES_MAX = 100  # of one rule, in a verdict
CUTS_MAX = 1000

Span = tuple[float, float]


class Place(msgspec.Struct, frozen=True):
    """Where a limit is exceeded: a defect, or strip that was not inspected."""

    side: StripSide
    what: Annotated[str, Meta(description="class of the defect, or cause of the gap")]
    downweb_mm: Annotated[Span | None, Meta(description="null where it is unknown")]
    crossweb_mm: Annotated[Span | None, Meta(description="null: the whole field of a camera")]
    seq: Annotated[Count | None, Meta(description="number of its event; null in `strip_end`")]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, and what it found."""

    rule: str
    measure: str
    limit: float
    value: Annotated[float, Meta(description="of the worst stretch of the rule's scope")]
    unit: str
    exceeded: bool
    grade: Annotated[str, Meta(description="that the strip gets where the limit is exceeded")]
    places: Annotated[
        tuple[Place, ...], Meta(max_length=PLACES_MAX, description="where it is exceeded")
    ] = ()
    places_total: Annotated[Count, Meta(description="more than `places` holds at most")] = 0
    unplaced: Annotated[
        Count,
        Meta(description="defects that count because their distance or place is not known"),
    ] = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The grade of a strip and why."""

    grade: str
    grades: tuple[str, ...]
    rule_set: str
    is_final: Annotated[bool, Meta(description="false: the strip has not ended; so far")]
    source: Annotated[
        Literal["daemon", "journal"], Meta(description="where the strip's events were taken from")
    ]
    length_m: float
    rules: tuple[Measured, ...]
    cut_m: Annotated[
        tuple[Span, ...],
        Meta(max_length=CUTS_MAX, description="to cut out, so that no limit is exceeded"),
    ]
    usable_m: Annotated[float, Meta(description="what is left in pieces that are long enough")]
    remarks: Annotated[tuple[str, ...], Meta(description="what limits this verdict")] = ()
