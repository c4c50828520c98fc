"""Samples are at random and can be drawn again; shares have the intervals of the paper."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.inspect.grading.audit import (
    Judged,
    draw_clean_places,
    draw_defects,
    score,
    wilson,
)


@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [
        # Newcombe, Stat. Med. 17 (1998) 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(right: int, judged: int, low: float, high: float) -> None:
    """The four examples that the comparison of methods by Newcombe prints."""
    assert list(wilson(right, judged)) == pytest.approx([low, high], abs=6e-5)
    mirrored = wilson(judged - right, judged)
    assert list(mirrored) == pytest.approx([1 - high, 1 - low], abs=6e-5)


def test_nothing_judged_tells_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_scores_count_what_a_person_said() -> None:
    """Unsure and open answers are not judged; clean frames come last."""
    answers = [
        *4 * [Judged("clean", "clean")],
        Judged("clean", "pits"),
        *3 * [Judged("pits", "pits")],
        *2 * [Judged("pits", "scale")],
        Judged("pits", "clean"),
        Judged("pits", "unsure"),
        Judged("pits", ""),
    ]
    pits, clean = score(answers)
    assert (pits.told, pits.rate.right, pits.rate.judged, pits.rate.share) == ("pits", 3, 6, 0.5)
    assert (pits.said, pits.unsure, pits.open) == ({"scale": 2, "clean": 1}, 1, 1)
    assert (clean.told, clean.rate.right, clean.rate.judged) == ("clean", 4, 5)
    assert (pits.rate.low, pits.rate.high) == wilson(3, 6)


def test_defects_are_drawn_from_each_class_with_equal_chance() -> None:
    """The same seed draws the same; each is drawn as often as the others."""
    strip = MadeStrip()
    for number in range(10):
        strip.defect(100.0 * number)
    for number in range(2):
        strip.defect(100.0 * number, class_name="holes")
    defects = strip.record().defects
    drawn = draw_defects(defects, 4, random.Random(7))
    assert Counter(flaw.class_name for flaw in drawn) == {"pits": 4, "holes": 2}
    assert drawn == draw_defects(defects[::-1], 4, random.Random(7))
    seed = 11
    print("seed", seed)
    chance = random.Random(seed)
    counts = Counter(
        flaw.seq
        for _ in range(2000)
        for flaw in draw_defects(defects, 4, chance)
        if flaw.class_name == "pits"
    )
    assert len(counts) == 10
    assert all(abs(count - 800) < 120 for count in counts.values())  # 5.5 deviations


def test_clean_places_were_inspected_and_have_no_defect() -> None:
    strip = MadeStrip(length_m=20.0)
    strip.defect(5500.0, size_mm=(10.0, 2000.0))
    strip.gap(10.0, 5.0)
    record = strip.record()
    drawn = draw_clean_places(record, 1000, 1000.0, random.Random(1))
    top = [span for side, span in drawn if side == "top"]
    assert len([side for side, _ in drawn if side == "bottom"]) == 20
    assert sorted(top) == sorted(set(top))
    assert len(top) == 5 + 2 + 5
    for first, last in top:
        assert last <= 5500 or (first >= 7500 and last <= 10_000) or first >= 15_000
    assert len(draw_clean_places(record, 3, 1000.0, random.Random(1))) == 3
