"""When a fault is logged: at its beginning and its end."""

from __future__ import annotations

from collections import Counter

from stripwatch.service.faults import FaultChange, FaultStates
from stripwatch.wire.causes import Cause

LOST = ("top", Cause.LOST)
LATE = ("", Cause.LATE)


def test_a_fault_is_told_once_while_it_goes_on_and_once_when_it_ends() -> None:
    """The end names all frames since the beginning."""
    states = FaultStates()
    looks = [states.update(Counter({LOST: count})) for count in (0, 3, 5, 9, 9, 9)]
    begun = FaultChange("top", Cause.LOST, ended=False, count=3)
    ended = FaultChange("top", Cause.LOST, ended=True, count=9)
    assert looks == [[], [begun], [], [], [ended], []]


def test_a_fault_that_comes_back_begins_anew() -> None:
    states = FaultStates()
    for count in (2, 2):
        states.update(Counter({LOST: count}))
    assert states.update(Counter({LOST: 3})) == [FaultChange("top", Cause.LOST, False, 1)]
    assert states.update(Counter({LOST: 3})) == [FaultChange("top", Cause.LOST, True, 1)]


def test_faults_of_cameras_and_causes_are_followed_apart() -> None:
    states = FaultStates()
    states.update(Counter({LOST: 1}))
    changes = states.update(Counter({LOST: 1, LATE: 4}))
    assert changes == [
        FaultChange("top", Cause.LOST, ended=True, count=1),
        FaultChange("", Cause.LATE, ended=False, count=4),
    ]
    assert states.is_under_way(Cause.LATE)
    assert not states.is_under_way(Cause.LOST)


def test_counters_that_the_caller_goes_on_counting_with_are_not_kept() -> None:
    """The caller may change its counters after the look."""
    states, counts = FaultStates(), Counter({LOST: 1})
    states.update(counts)
    counts[LOST] += 1
    assert states.update(counts) == []
    assert states.update(counts) == [FaultChange("top", Cause.LOST, ended=True, count=2)]
