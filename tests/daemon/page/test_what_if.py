"""What would remain with other settings, and how far that can be relied on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.config.grading import Grading, Rule
from stripwatch.page.what_if import Exactness, Trial, of_events, of_strip, remarks
from stripwatch.wire.event import Defect
from stripwatch.wire.operator import ClassInForce, ClassSetting

IN_FORCE = [
    ClassInForce(
        id=1,
        name=name,
        threshold=0.5,
        min_area_px=50,
        configured_threshold=0.5,
        configured_min_area_px=50,
    )
    for name in ("pits", "cracks")
]
GRADING = Grading(
    rule_set="test",
    grades=("best", "worse"),
    rules=(
        Rule(name="inspected", measure="not_inspected_m", limit=1.0, grade="worse"),
        Rule(name="few", measure="count", limit=2, grade="worse"),
    ),
)


def trial(*asked: ClassSetting) -> Trial:
    return Trial(IN_FORCE, asked, pixel_mm2=1.0)


@pytest.fixture
def strip() -> MadeStrip:
    """Three pits with growing peaks and areas, and a crack."""
    strip = MadeStrip()
    for number, peak in enumerate((0.6, 0.7, 0.8), 1):
        area = 100 * number
        strip.defect(
            1000.0 * number, size_mm=(10.0, area / 10), peak=peak, area_px=area, is_whole=True
        )
    strip.defect(9000.0, class_name="cracks", peak=0.6, area_px=100)
    return strip


def defects(strip: MadeStrip) -> Sequence[Defect]:
    return [event for event in strip.events if isinstance(event, Defect)]


@pytest.mark.parametrize(
    ("setting", "remain"),
    [
        (ClassSetting(name="pits"), 3),
        (ClassSetting(name="pits", threshold=0.7), 2),
        (ClassSetting(name="pits", threshold=0.71), 1),
        (ClassSetting(name="pits", threshold=0.9), 0),
        (ClassSetting(name="pits", min_area_px=200), 2),
        (ClassSetting(name="pits", min_area_px=201), 1),
        (ClassSetting(name="pits", threshold=0.65, min_area_px=300), 1),
        (ClassSetting(name="pits", threshold=0.1), 3),
    ],
)
def test_defects_remain_whose_peak_and_area_reach_the_settings(
    strip: MadeStrip, setting: ClassSetting, remain: int
) -> None:
    """Among the latest and in the strip alike; other classes are not touched."""
    found = of_events(trial(setting), defects(strip))
    whole = of_strip(trial(setting), strip.record(), GRADING)
    for counts in (found, whole):
        assert counts["by_class"]["pits"] == {"total": 3, "remain": remain}
        assert counts["by_class"]["cracks"] == {"total": 1, "remain": 1}
        assert len(counts["removed"]) == 3 - remain
        assert counts["total"] == 4


def test_a_peak_is_known_to_the_steps_of_the_engine(strip: MadeStrip) -> None:
    """A defect within one of them may remain: what is said is a bound from above."""
    assert (
        of_events(trial(ClassSetting(name="pits", threshold=0.703)), defects(strip))["remain"] == 3
    )


def test_the_grade_that_would_be_is_told_beside_the_one_that_is(strip: MadeStrip) -> None:
    found = of_strip(trial(ClassSetting(name="pits", threshold=0.75)), strip.record(), GRADING)
    assert (found["grade_now"], found["grade_then"]) == ("worse", "best")
    assert found["verdict_then"].grade == "best"
    without = of_strip(trial(), strip.record(), Grading())
    assert (without["grade_now"], without["grade_then"]) == (None, None)


@pytest.mark.parametrize(
    ("setting", "of_one", "of_several"),
    [
        (ClassSetting(name="pits"), "unchanged", "unchanged"),
        (ClassSetting(name="pits", min_area_px=60), "exact", "upper_bound"),
        (ClassSetting(name="pits", threshold=0.6), "upper_bound", "upper_bound"),
        (ClassSetting(name="pits", threshold=0.4), "lowered", "lowered"),
        (ClassSetting(name="pits", threshold=0.6, min_area_px=40), "lowered", "lowered"),
    ],
)
def test_how_exact_an_answer_is(
    setting: ClassSetting, of_one: Exactness, of_several: Exactness
) -> None:
    """What a lower setting would add was never kept."""
    tried = trial(setting)
    assert tried.exactness(has_pieces=False) == {"pits": of_one}
    assert tried.exactness(has_pieces=True) == {"pits": of_several}
    assert bool(remarks({"pits": of_one})) == (of_one in ("upper_bound", "lowered"))
