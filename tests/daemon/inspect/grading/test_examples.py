"""The rule sets of docs/grading.md, each over a strip made for it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.config.grading import Grading, wrong_grading
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.record import Mark, find_periodic
from stripwatch.wire.verdict import Verdict

PAGE = Path(__file__).resolve().parents[4] / "docs" / "grading.md"
EXAMPLES = dict(re.findall(r"```toml\n# ([\w-]+)\.toml\n(.*?)```", PAGE.read_text(), re.DOTALL))


def example(name: str) -> Grading:
    grading = msgspec.convert(tomllib.loads(EXAMPLES[name])["grading"], Grading)
    assert wrong_grading(grading, ("top", "bottom")) == []
    return grading


def exceeded(verdict: Verdict) -> set[str]:
    return {rule.rule for rule in verdict.rules if rule.exceeded}


@pytest.mark.parametrize("name", ["hot-strip", "cold-strip-a-b", "customer"])
def test_a_clean_strip_is_the_best_by_every_example(name: str) -> None:
    grading = example(name)
    verdict = grade(grading, MadeStrip(length_m=500.0).record())
    assert (verdict.grade, verdict.remarks) == (grading.grades[0], ())


def test_hot_strip() -> None:
    """Holes count off the cropped ends, cracks off the mill edge, scale by its share."""
    grading = example("hot-strip")
    strip = MadeStrip(length_m=500.0)
    strip.defect(3000.0, class_name="holes")  # will be cropped
    strip.defect(200_000.0, class_name="cracks", across_mm=0.0, size_mm=(8.0, 30.0))
    strip.defect(300_000.0, class_name="scale", size_mm=(100.0, 1000.0))  # 0.05 % of 200 m2
    assert exceeded(grade(grading, strip.record())) == set()
    strip.defect(210_000.0, class_name="cracks", across_mm=0.0, size_mm=(12.0, 30.0))
    found = grade(grading, strip.record())
    assert (found.grade, exceeded(found)) == ("second", {"cracks of the mill edge stay short"})
    assert found.cut_m == ((209.5, 210.53),)
    assert found.usable_m == pytest.approx(500 - 1.03)
    strip.defect(320_000.0, class_name="scale", size_mm=(1000.0, 5000.0))  # 5 m2 of 200: 2.5 %
    strip.defect(400_000.0, class_name="holes")
    found = grade(grading, strip.record())
    assert found.grade == "scrap"
    assert exceeded(found) == {"no hole", "scale", "cracks of the mill edge stay short"}
    assert {rule.rule: rule.value for rule in found.rules}["scale"] == pytest.approx(2.55)


def test_cold_strip_surfaces_a_and_b() -> None:
    """What spoils surface A may be on the other side."""
    grading = example("cold-strip-a-b")
    strip = MadeStrip(length_m=500.0)
    strip.defect(1000.0, side="bottom", class_name="scratches", size_mm=(1.0, 1500.0))
    for at_mm in (1000.0, 2000.0, 3000.0, 150_000.0):
        strip.defect(at_mm)
    assert grade(grading, strip.record()).grade == "surface A"
    record = strip.record()
    find_periodic(record.defects, [Mark("m", "top", 405.0, 1000.0, (), 1005.0, 3005.0, 3, 0, 1e-9)])
    found = grade(grading, record)
    assert (found.grade, exceeded(found)) == ("surface B", {"A: no roll mark"})
    assert found.rules[2].places_total == 3
    strip.defect(4000.0, class_name="scratches", size_mm=(1.0, 25.0))
    found = grade(grading, strip.record())
    assert exceeded(found) == {"A: few marks", "A: no long scratch"}
    strip.defect(1000.0, side="bottom", class_name="scratches", size_mm=(1.0, 2500.0))
    assert grade(grading, strip.record()).grade == "reject"
    blind = MadeStrip(length_m=500.0)
    blind.gap(20.0, 1.0)
    blind.gap(50.0, 20.0, "bottom")
    found = grade(grading, blind.record())
    assert (found.grade, exceeded(found)) == ("surface B", {"A side inspected whole"})


def test_a_customers_densities() -> None:
    """Small pits do not count; close together others do; blanks are lost by length."""
    grading = example("customer")
    strip = MadeStrip(length_m=500.0)
    for number in range(400):
        strip.defect(1000.0 * number, size_mm=(1.0, 1.0))
    for number in range(10):
        strip.defect(5000.0 + 1000 * number)
    verdict = grade(grading, strip.record())
    assert exceeded(verdict) == {"lost blanks"}
    assert {rule.rule: rule.value for rule in verdict.rules}["density of pits"] == 0.01
    strip = MadeStrip(length_m=500.0)
    for number in range(11):  # 55 in 100 m, on 20 m alone
        strip.defect(5000.0 + 1000 * number)
    found = grade(grading, strip.record())
    assert (found.grade, exceeded(found)) == ("with rebate", {"dense anywhere"})
    assert {rule.rule: rule.value for rule in found.rules}["dense anywhere"] == 55.0
