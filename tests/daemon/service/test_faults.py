"""When a fault is logged: at its beginning and its end."""

from __future__ import annotations

from collections import Counter

from stripwatch.service.faults import QUIET_LOOKS, FaultChange, FaultStates
from stripwatch.wire.causes import Cause

LOST = ("top", Cause.LOST)
LATE = ("", Cause.LATE)


def looks(states: FaultStates, *counts: int) -> list[list[FaultChange]]:
    """The changes that each look at a counter brings."""
    return [states.update(Counter({LOST: count})) for count in counts]


def test_a_fault_is_logged_once_while_it_lasts_and_once_when_it_ends() -> None:
    """The end names all frames since the beginning."""
    begun = FaultChange("top", Cause.LOST, ended=False, count=3)
    ended = FaultChange("top", Cause.LOST, ended=True, count=9)
    quiet = [9] * QUIET_LOOKS
    assert looks(FaultStates(), 0, 3, 5, 9, *quiet, 9) == [
        [],
        [begun],
        [],
        [],
        *([[]] * (QUIET_LOOKS - 1)),
        [ended],
        [],
    ]


def test_a_fault_that_comes_and_goes_is_one_fault() -> None:
    """A pause that is shorter than `QUIET_LOOKS` does not end it."""
    counts = [1, 1, 2, 2, 2, 3, *([3] * (QUIET_LOOKS - 1)), 4]
    changes = [change for look in looks(FaultStates(), *counts) for change in look]
    assert [change.ended for change in changes] == [False]


def test_a_fault_that_comes_back_later_begins_anew() -> None:
    states = FaultStates()
    looks(states, 2, *([2] * QUIET_LOOKS))
    first, *rest = looks(states, 3, *([3] * QUIET_LOOKS))
    assert first == [FaultChange("top", Cause.LOST, ended=False, count=1)]
    assert rest[-1] == [FaultChange("top", Cause.LOST, ended=True, count=1)]


def test_faults_of_cameras_and_causes_are_followed_apart() -> None:
    states = FaultStates()
    looks(states, 1)
    for _ in range(QUIET_LOOKS - 1):
        assert states.update(Counter({LOST: 1})) == []
    assert states.update(Counter({LOST: 1, LATE: 4})) == [
        FaultChange("top", Cause.LOST, ended=True, count=1),
        FaultChange("", Cause.LATE, ended=False, count=4),
    ]
    assert states.cameras(Cause.LATE) == ("",)
    assert states.cameras(Cause.LOST) == ()


def test_the_callers_counters_are_copied() -> None:
    """The caller may change its counters after the look."""
    states, counts = FaultStates(), Counter({LOST: 1})
    states.update(counts)
    counts[LOST] += 1
    assert states.update(counts) == []
    changes = [states.update(counts) for _ in range(QUIET_LOOKS)]
    assert changes[-1] == [FaultChange("top", Cause.LOST, ended=True, count=2)]
