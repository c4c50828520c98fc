"""Events of two runs compared."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec

from stripwatch.lab.compare.event_diff import compare_events, format_difference
from stripwatch.lab.compare.report import comparison_json
from stripwatch.wire.event import Defect, Gap

MakeDefect = Callable[..., Defect]


def test_events_are_compared_by_what_they_say_not_by_when(make_defect: MakeDefect) -> None:
    """Stream, number, session, time and the session inside `part_of` differ by nature."""
    first = make_defect()
    again = make_defect(
        stream="other", seq=7, session="t", t_ns=5, part_of=first.part_of.replace("-s-", "-t-")
    )
    assert compare_events([first], [again]).differences == ()
    other = make_defect(score=0.5)
    (difference,) = compare_events([first], [other]).differences
    assert (difference.kind, difference.changes) == ("changed", (("score", 0.9, 0.5),))
    assert "score 0.9 -> 0.5" in format_difference(difference)


def test_part_of_is_compared_as_a_partition(make_defect: MakeDefect) -> None:
    """Other names for the same groups are no difference; another grouping is one."""

    def run(*names: str) -> list[Defect]:
        return [make_defect(frame_seq=seq, part_of=name) for seq, name in enumerate(names)]

    assert compare_events(run("a", "a", "b", "c"), run("x", "x", "a", "b")).differences == ()
    split = compare_events(run("a", "a", "a", "b"), run("a", "c", "c", "b")).differences
    assert [entry.changes for entry in split] == [(("part_of", "a", "c"),)] * 2
    joined = compare_events(run("a", "b"), run("a", "a")).differences
    assert [entry.changes for entry in joined] == [(("part_of", "b", "a"),)]
    # A defect that is gone regroups nobody else.
    assert [entry.kind for entry in compare_events(run("a", "a"), run("z")[:1]).differences] == [
        "missing"
    ]


def test_a_comparison_as_json_holds_differences_and_counts(make_defect: MakeDefect) -> None:
    comparison = compare_events([make_defect()], [make_defect(score=0.5)])
    content = json.loads(comparison_json(comparison))
    assert content["differences"][0]["changes"] == {"score": {"expected": 0.9, "found": 0.5}}
    assert content["differences"][0]["event"]["class_name"] == "cracks"
    assert content["counts"] == [
        {
            "event": "defect cracks",
            "expected": 1,
            "found": 1,
            "missing": 0,
            "new": 0,
            "changed": 1,
        }
    ]
    assert content["models"] == {"expected": ["m1"], "found": ["m1"]}


def test_missing_and_new_events_are_told_apart(make_defect: MakeDefect) -> None:
    gap = Gap(
        stream="a",
        seq=1,
        camera="top",
        strip=None,
        session="s",
        first_frame_seq=3,
        last_frame_seq=4,
        count=2,
        cause="lost",  # type: ignore[arg-type]
        downweb_mm=None,
    )
    moved = make_defect(bbox_px=(21, 8, 10, 4))
    result = compare_events([make_defect(), gap], [moved])
    assert [entry.kind for entry in result.differences] == ["missing", "new", "missing"]
    assert compare_events([gap], [msgspec.structs.replace(gap, seq=9)]).differences == ()
