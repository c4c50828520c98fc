"""Which rolls of the configuration have a period."""

from __future__ import annotations

import math

from stripwatch.config.rolls import Roll
from stripwatch.config.sections import Config
from stripwatch.inspect.periodic.side import Limits

TOLERANCE = 0.005  # slip, and the encoder's error


def roll_period_mm(roll: Roll) -> tuple[float, float]:
    """Smallest and largest period of a roll's marks: pi * diameter * elongation.

    The strip leaves a roll a little faster than its surface (forward slip), and each reduction
    behind it stretches what it has printed, as the width stays and the volume, too:
    elongation = (1 + forward slip) * thickness at the roll / thickness at the camera.
    """
    (thin, thick), (least, most) = roll.diameter_mm, roll.elongation
    return math.pi * thin * least, math.pi * thick * most


def matching_rolls(rolls: tuple[Roll, ...], period_mm: float) -> tuple[str, ...]:
    """The names of the rolls that can have made marks of this period."""
    return tuple(
        roll.name
        for roll, (least, most) in ((roll, roll_period_mm(roll)) for roll in rolls)
        if least * (1 - TOLERANCE) <= period_mm <= most * (1 + TOLERANCE)
    )


def limits_of(config: Config) -> Limits:
    """What is looked for: the periods of the configuration, and those of its rolls."""
    least, most = config.periodic.period_mm
    periods = [roll_period_mm(roll) for roll in config.rolls]
    return Limits(
        (
            min([least, *(low * (1 - TOLERANCE) for low, _ in periods)]),
            max([most, *(high * (1 + TOLERANCE) for _, high in periods)]),
        ),
        config.periodic.lane_mm,
    )
