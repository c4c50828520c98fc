"""Rules over strips of known content: values, places, grades, cuts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.config.grading import Grading, Rule, wrong_grading
from stripwatch.inspect.grading.grade import grade
from stripwatch.wire.verdict import PLACES_MAX, Measured, Verdict

COVERED = Rule(name="inspected", measure="not_inspected_m", limit=5.0, grade="worse")


def verdict(strip: MadeStrip, *rules: Rule, **changes: Any) -> Verdict:
    grading = Grading(grades=("best", "worse", "worst"), rules=(COVERED, *rules), **changes)
    assert wrong_grading(grading, ("top", "bottom")) == []
    return grade(grading, strip.record())


def measured(strip: MadeStrip, **keys: Any) -> Measured:
    keys = {"name": "r", "measure": "count", "limit": 0.0, "grade": "worst", **keys}
    return verdict(strip, Rule(**keys)).rules[-1]


def test_a_clean_strip_gets_the_best_grade() -> None:
    """All of it can be used."""
    found = verdict(MadeStrip())
    assert (found.grade, found.usable_m, found.cut_m, found.remarks) == ("best", 100.0, (), ())
    assert found.is_final


def test_the_worst_grade_of_the_exceeded_rules_wins() -> None:
    """A value at its limit does not exceed it."""
    strip = MadeStrip()
    strip.defect(1000.0)
    strip.defect(2000.0, class_name="holes")
    at_limit = Rule(name="a", measure="count", limit=2, grade="worst")
    beyond = Rule(name="b", measure="count", limit=1, grade="worse")
    hole = Rule(name="c", classes=("holes",), measure="count", limit=0, grade="worst")
    assert verdict(strip, at_limit).grade == "best"
    assert verdict(strip, at_limit, beyond).grade == "worse"
    assert verdict(strip, hole, beyond).grade == "worst"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({}, 6),
        ({"classes": ["pits"]}, 5),
        ({"classes": ["holes", "pits"]}, 6),
        ({"side": "bottom"}, 1),
        ({"score_min": 0.5}, 5),
        ({"length_mm_min": 50.0}, 1),
        ({"width_mm_min": 40.0}, 1),
        ({"area_mm2_min": 101.0}, 2),
        ({"edge_distance_mm": [0.0, 50.0]}, 1),
        ({"edge_distance_mm": [50.0, 1000.0]}, 5),
        ({"head_m": 1.0}, 1),
        ({"tail_m": 10.0}, 2),
        ({"head_m": 1.0, "tail_m": 10.0}, 2),
        ({"without_head_m": 1.0}, 5),
        ({"without_head_m": 1.0, "without_tail_m": 10.0}, 3),
        ({"sector_m": 50.0}, 4),
        ({"periodic": True}, 0),
        ({"periodic": False}, 6),
        ({"measure": "count_per_100_m"}, 6),
        ({"measure": "count_per_m2", "side": "top"}, 0.05),
        ({"measure": "count_per_m2"}, 0.03),
        ({"measure": "length_mm_max"}, 60.0),
        ({"measure": "width_mm_max"}, 40.0),
        ({"measure": "area_mm2_max"}, 600.0),
        ({"measure": "area_percent", "side": "bottom"}, 0.0001),
        ({"measure": "length_percent"}, 0.1),
        ({"measure": "length_percent", "stretch_mm": 1000.0}, 8.09),
    ],
)
def test_scopes_and_measures_have_the_values_that_a_person_counts(
    keys: dict[str, Any], value: float
) -> None:
    """Six defects: head, edge, long, wide and a hole at one place, and one on the other side."""
    strip = MadeStrip()
    strip.defect(0.0, across_mm=5.0)
    strip.defect(30_000.0, size_mm=(10.0, 60.0))
    strip.defect(30_010.0, size_mm=(40.0, 10.0), score=0.4)
    strip.defect(49_995.0)  # over the border of two sectors
    strip.defect(95_000.0, class_name="holes")
    strip.defect(96_000.0, side="bottom")
    assert measured(strip, **keys).value == pytest.approx(value, abs=1e-9)


def test_a_density_is_of_what_was_inspected() -> None:
    strip = MadeStrip()
    strip.defect(1000.0)
    strip.gap(50.0, 50.0)
    assert measured(strip, measure="count_per_100_m", side="top").value == 2
    assert measured(strip, measure="count_per_100_m", side="bottom").value == 0
    assert measured(strip, measure="count_per_m2").value == pytest.approx(1 / 150, abs=1e-4)


def test_metres_not_inspected_are_counted_once_over_both_sides() -> None:
    """By stretch where their place is known, in every stretch where it is not."""
    strip = MadeStrip()
    strip.gap(10.0, 6.0)
    strip.gap(12.0, 6.0, "bottom")
    found = verdict(strip)
    assert found.grade == "worse"
    assert found.rules[0].value == 8.0
    assert [(place.side, place.what) for place in found.rules[0].places] == [
        ("top", "lost"),
        ("bottom", "lost"),
    ]
    assert found.cut_m == ((10.0, 18.0),)
    assert found.usable_m == 92.0
    sector = {"measure": "not_inspected_percent", "sector_m": 10.0}
    assert measured(strip, **sector).value == 80.0
    strip.gap(None, 1.0)
    assert measured(strip, **sector).value == 90.0


def test_a_strip_that_nobody_looked_at_is_not_good() -> None:
    """Half a line that is off is seen in the verdict."""
    found = verdict(MadeStrip(cameras=("top",)))
    assert (found.grade, found.rules[0].value, found.usable_m) == ("worse", 100.0, 0.0)
    assert found.rules[0].places[0].what == "not_seen"


def test_without_a_rule_on_coverage_no_strip_is_the_best() -> None:
    """Nor with one for one side, or for a part of the strip."""
    count = Rule(name="c", measure="count", limit=5, grade="worst")
    keys: dict[str, Any] = {"name": "x", "measure": "not_inspected_m", "limit": 1, "grade": "worse"}
    for rules, missing in (
        ((count,), "bottom and top"),
        ((count, Rule(**keys, side="top")), "side bottom"),
        ((count, Rule(**keys, head_m=5)), "bottom and top"),
        ((Rule(**keys, without_tail_m=5),), "bottom and top"),
    ):
        found = grade(Grading(grades=("a", "worse", "worst"), rules=rules), MadeStrip().record())
        assert found.grade == "worse"
        assert missing in found.remarks[0]
    both = (Rule(**keys, side="top"), Rule(**{**keys, "name": "y"}, side="bottom"))
    found = grade(Grading(grades=("a", "worse"), rules=both), MadeStrip().record())
    assert (found.grade, found.remarks) == ("a", ())


def test_a_defect_whose_place_is_not_known_belongs_to_every_zone_it_may_lie_in() -> None:
    """The verdict says how many were taken so."""
    strip = MadeStrip()
    strip.defect(None, edges_mm=(None, None))
    for keys in ({"edge_distance_mm": [0.0, 5.0]}, {"edge_distance_mm": [200.0, 300.0]}):
        found = measured(strip, **keys)
        assert (found.value, found.unplaced) == (1, 1)
    assert measured(strip, tail_m=1.0).unplaced == 1
    assert measured(strip).unplaced == 0
    one_edge = MadeStrip()
    one_edge.defect(0.0, edges_mm=(0.0, None))  # 400 mm from the left: at most so far
    assert measured(one_edge, edge_distance_mm=[0.0, 50.0]).value == 1
    assert measured(one_edge, edge_distance_mm=[401.0, 900.0]).value == 0


def test_the_last_sector_is_as_long_as_the_others() -> None:
    """One defect in the last 5 m of 105 m is not 20 in 100 m."""
    strip = MadeStrip(length_m=105.0)
    strip.defect(104_000.0)
    assert measured(strip, measure="count_per_100_m", sector_m=50.0).value == 2


def test_cuts_have_a_margin_and_short_pieces_are_not_usable() -> None:
    """Only of rules that are exceeded, within the strip."""
    strip = MadeStrip()
    for at_mm in (100.0, 50_000.0, 55_000.0):
        strip.defect(at_mm)
    strip.defect(80_000.0, class_name="scale")
    rule = Rule(name="pits", classes=("pits",), measure="count", limit=0, grade="worse")
    found = verdict(strip, rule, cut_margin_m=1.0, piece_m_min=10.0)
    assert found.cut_m == ((0.0, 1.11), (49.0, 51.01), (54.0, 56.01))
    assert found.usable_m == pytest.approx((49.0 - 1.11) + (100.0 - 56.01))


def test_a_verdict_names_a_bounded_number_of_places_and_counts_all() -> None:
    strip = MadeStrip()
    for number in range(PLACES_MAX + 20):
        strip.defect(100.0 * number)
    found = measured(strip)
    assert (len(found.places), found.places_total) == (PLACES_MAX, PLACES_MAX + 20)


def test_a_strip_that_has_not_ended_is_graded_so_far() -> None:
    strip = MadeStrip(has_ended=False)
    strip.defect(7000.0)
    found = verdict(strip)
    assert not found.is_final
    assert "has not ended" in found.remarks[-1]
    assert found.length_m == pytest.approx(7.01)


def test_a_strip_whose_events_were_removed_is_not_the_best() -> None:
    strip = MadeStrip()
    strip.defect(7000.0)
    record = strip.record()
    record.pieces_lacking = 3
    found = grade(Grading(grades=("a", "worse"), rules=(COVERED,)), record)
    assert found.grade == "worse"
    assert "3 defects" in found.remarks[0]
