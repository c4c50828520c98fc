"""Verdicts of strips as they pass: the same as from the journal, within bounds."""

from __future__ import annotations

import msgspec
import pytest
from tests.daemon.inspect.grading.strips import CONFIG, STRIP, MadeStrip

from stripwatch.config.grading import Grading, Rule
from stripwatch.inspect.grading import live
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.live import LiveGrades
from stripwatch.wire.event import NumberedEvent, StripEnd, build_event, parse_event
from stripwatch.wire.verdict import Verdict

GRADING = Grading(
    grades=("best", "worse"),
    rules=(
        Rule(name="inspected", measure="not_inspected_m", limit=1, grade="worse"),
        Rule(name="pits", measure="count", limit=2, grade="worse"),
    ),
)
RULED = msgspec.structs.replace(CONFIG, grading=GRADING)


def made(defects: int = 2) -> MadeStrip:
    strip = MadeStrip()
    for number in range(defects):
        strip.defect(1000.0 * number)
    return strip


def verdicts(grades: LiveGrades, events: list[NumberedEvent]) -> list[Verdict]:
    found = []
    for event in events:
        followed = grades.follow(event)
        if isinstance(followed, StripEnd):
            assert isinstance(followed.verdict, Verdict)
            found.append(followed.verdict)
        else:
            assert followed is event
    return found


def test_the_last_camera_has_the_verdict_that_the_journal_gives() -> None:
    """The first one's is not final; a verdict comes back from a message as it was."""
    strip = made()
    strip.gap(50.0, 3.0, "bottom")
    so_far, whole = verdicts(LiveGrades(RULED), strip.all_events())
    assert (so_far.is_final, whole.is_final) == (False, True)
    expected = grade(GRADING, strip.record(), "daemon")
    assert whole == expected
    end = msgspec.structs.replace(strip.all_events()[-1], verdict=whole)
    assert parse_event(*build_event(end)) == end


def test_without_rules_nothing_is_added() -> None:
    """The payload of the event is what it was."""
    end = made().all_events()[-1]
    followed = LiveGrades(CONFIG).follow(end)
    assert followed is end
    assert b"verdict" not in build_event(followed)[1]


def test_a_strip_that_comes_again_begins_anew() -> None:
    grades = LiveGrades(RULED)
    assert verdicts(grades, made(3).all_events())[-1].grade == "worse"
    assert verdicts(grades, made(1).all_events())[-1].rules[1].value == 1


def test_a_resumed_strip_counts_what_came_before() -> None:
    """Its verdict says that it is from the journal."""
    events = made(3).all_events()
    grades = LiveGrades(RULED)
    grades.resume(STRIP, events[:4])
    whole = verdicts(grades, events[4:])[-1]
    assert (whole.source, whole.rules[1].value, whole.grade) == ("journal", 3, "worse")


def test_what_is_kept_of_a_strip_is_bounded_and_the_verdict_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A strip of which not all is known is not the best."""
    monkeypatch.setattr(live, "KEPT_MAX", 2)
    (_, whole) = verdicts(LiveGrades(RULED), made(5).all_events())
    assert (whole.grade, whole.rules[1].value) == ("worse", 2)
    assert "3 events of the strip had no room" in whole.remarks[0]


def test_strips_that_never_end_do_not_pile_up() -> None:
    grades = LiveGrades(RULED)
    for number in range(50):
        event = msgspec.structs.replace(made().all_events()[0], strip=f"S{number}")
        grades.follow(event)
    assert len(grades._strips) == live.STRIPS_KEPT
