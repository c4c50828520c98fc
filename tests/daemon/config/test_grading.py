"""`[grading]`: what a mistake in a rule says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.daemon.config.test_load import GOOD, manifest, write

from stripwatch.config.load import load_config
from stripwatch.errors import ConfigError
from stripwatch.service.engine_fit import resolve_classes

RULE = """
[grading]
grades = ["best", "worse"]
[[grading.rules]]
name = "r"
measure = "count"
limit = 0
grade = "worse"
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('grade = "good"', ["'r'", "'good' is not in grading.grades", "allowed: 'worse'"]),
        ('grade = "best"', ["is the best one", "allowed: 'worse'"]),
        ('measure = "counts"', ["grading.rules[0].measure", "'count_per_100_m'"]),
        ("limit = -1", ["grading.rules[0].limit", ">= 0"]),
        ('side = "bottom"', ["no camera sees it", "allowed: 'top'"]),
        ("edge_distance_mm = [5, 5]", ["edge_distance_mm = [5.0, 5.0]", "the smaller first"]),
        ("head_m = 1\nsector_m = 2", ["head_m", "sector_m", "one or the other"]),
        ("stretch_mm = 5", ["length_percent"]),
        ('measure = "not_inspected_m"\nscore_min = 0.5', ["score_min chooses defects", "side"]),
        ("class = 5", ["has no key class", "classes"]),
        ("periodic = 3", ["true or false"]),
        ('name = ""', ["grading.rules[0].name = ''", "1 to 64 printable ASCII characters"]),
    ],
)
def test_a_mistake_says_which_rule_and_what_is_allowed(
    line: str, words: list[str], tmp_path: Path
) -> None:
    keys = {one.split(" = ")[0] for one in line.splitlines()}
    kept = [one for one in RULE.splitlines() if one.split(" = ")[0] not in keys]
    path = write(tmp_path, GOOD + "\n".join([*kept, line, ""]))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('grades = ["best", "worse"]', "", "go together"),
        ('grades = ["best", "worse"]', 'grades = ["worse"]', "at least two"),
        ('grades = ["best", "worse"]', 'grades = ["a", "worse", "a"]', "given twice"),
    ],
)
def test_grades_are_two_or_more_with_names_of_their_own(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, GOOD + RULE.replace(old, new)))


def test_a_rule_names_classes_of_the_engine(tmp_path: Path) -> None:
    """All such mistakes are told with the others of the file."""
    config = load_config(write(tmp_path, GOOD + RULE + 'classes = ["pits", "holes"]\n'))
    with pytest.raises(ConfigError, match=r"'holes'.*allowed: pits, cracks"):
        resolve_classes(config, manifest())
    resolve_classes(msgspec.structs.replace(config, grading=type(config.grading)()), manifest())
