"""The sections [periodic] and [[rolls]] of config.toml."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from stripwatch.wire.names import RollName

Elongation = Annotated[float, Meta(ge=0.5, le=100)]
Length = Annotated[float, Meta(ge=50, le=50_000)]  # mm: the rolls of a mill, and more


class Periodic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Defects that repeat at one distance: what is looked for."""

    period_mm: tuple[Length, Length] = (300.0, 4000.0)  # smallest and largest; the rolls' are added
    lane_mm: Annotated[float, Meta(ge=1, le=1000)] = 20.0  # how far across to both sides


class Roll(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A roll that the strip passes; its marks have the period pi * diameter * elongation."""

    name: RollName
    diameter_mm: tuple[Length, Length]  # worn down, and new
    # Of the strip from the roll to the camera: smallest and largest.
    elongation: tuple[Elongation, Elongation] = (1.0, 1.0)


def range_mistakes(periodic: Periodic, rolls: tuple[Roll, ...]) -> list[str]:
    """What is wrong with the ranges: a smallest value above the largest."""
    ranges = [("periodic.period_mm", periodic.period_mm)]
    for roll in rolls:
        ranges.append((f"rolls.diameter_mm of {roll.name!r}", roll.diameter_mm))
        ranges.append((f"rolls.elongation of {roll.name!r}", roll.elongation))
    return [
        f"{key} = {list(pair)}: expected [smallest, largest], the smallest first"
        for key, pair in ranges
        if pair[0] > pair[1]
    ]
