"""How good the inspection is, from a random sample that a person judges without knowing its answer.

VDI/VDE/VDMA 2632 part 4.2 asks for such samples where there is no ground truth.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stripwatch.inspect.grading.intervals import Interval, between, union
from stripwatch.inspect.grading.record import Flaw, StripRecord
from stripwatch.wire.names import StripSide

Z_95 = 1.959964  # of the normal distribution: two-sided, 95 %
CLEAN, UNSURE = "clean", "unsure"


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer of the daemon, and what a person said."""

    told: str  # a class, or CLEAN
    said: str  # a class, CLEAN, UNSURE or nothing


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its Wilson interval."""

    right: int
    judged: int
    low: float
    high: float
    share: float | None  # None: nothing was judged


@dataclass(slots=True)
class ClassScore:
    """How right one answer was."""

    told: str
    rate: Rate
    said: dict[str, int] = field(default_factory=dict)  # what it was instead
    unsure: int = 0
    open: int = 0  # not judged yet


def wilson(right: int, judged: int, z: float = Z_95) -> tuple[float, float]:
    """The interval of a share that was measured on a sample, without continuity correction.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    J. Am. Stat. Assoc. 22 (1927) 209-212. It stays between 0 and 1 and is right for small samples.
    """
    if judged == 0:
        return 0.0, 1.0
    share = right / judged
    scale = 1 + z * z / judged
    middle = (share + z * z / (2 * judged)) / scale
    half = z * math.sqrt(share * (1 - share) / judged + z * z / (4 * judged * judged)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def score(answers: Iterable[Judged]) -> list[ClassScore]:
    """For each answer of the daemon, how often a person said the same; the classes in order.

    A rate of a class is its precision, that of CLEAN one minus the share of frames with a miss.
    What the person was not sure of is not judged.
    """
    by_answer: dict[str, Counter[str]] = {}
    for answer in answers:
        by_answer.setdefault(answer.told, Counter())[answer.said] += 1
    scores = []
    for told in sorted(by_answer, key=lambda name: (name == CLEAN, name)):
        said = by_answer[told]
        unsure, open_ = said.pop(UNSURE, 0), said.pop("", 0)
        judged = sum(said.values())
        right = said.pop(told, 0)
        low, high = wilson(right, judged)
        rate = Rate(right, judged, low, high, right / judged if judged else None)
        scores.append(ClassScore(told, rate, dict(said.most_common()), unsure, open_))
    return scores


def draw_defects(defects: Sequence[Flaw], per_class: int, chance: random.Random) -> list[Flaw]:
    """At random so many defects of each class, or all where it has fewer."""
    by_class: dict[str, list[Flaw]] = {}
    for flaw in sorted(defects, key=lambda flaw: flaw.seq):
        by_class.setdefault(flaw.class_name, []).append(flaw)
    return [
        flaw
        for name in sorted(by_class)
        for flaw in chance.sample(by_class[name], min(per_class, len(by_class[name])))
    ]


def draw_clean_places(
    record: StripRecord, count: int, length_mm: float, chance: random.Random
) -> list[tuple[StripSide, Interval]]:
    """At random stretches of one side that were inspected and have no defect.

    Args:
        record: the strip.
        count: of stretches, fewer where there is no room.
        length_mm: of a stretch, that of a frame.
        chance: decides.
    """
    free: list[tuple[StripSide, Interval]] = []
    for side in record.sides:
        taken = [one.along_mm for one in record.defects if one.side == side and one.along_mm]
        clean = between(union([*taken, *record.blind_along(side)]), (0.0, record.length_mm))
        for first, last in clean:
            for number in range(int((last - first) // length_mm)):
                start = first + number * length_mm
                free.append((side, (start, start + length_mm)))
    return chance.sample(free, min(count, len(free)))
