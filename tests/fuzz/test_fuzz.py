"""Damaged input is read or refused in documented words; and what is not, the fuzzer finds.

`make fuzz CASES=1000000` runs many more cases.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.fuzz import campaign
from tests.fuzz.campaign import TARGETS, run_cases
from tests.fuzz.target import Case, Parse, Target, case_of, is_accepted

from stripwatch.wire.causes import Cause, WireError

SEED = 1
CASES = 200


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_seeds_are_accepted(target: Target, tmp_path: Path) -> None:
    """Damage to what was refused before it was damaged would show nothing."""
    for case in target.seeds(tmp_path):
        assert is_accepted(target, case, tmp_path)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_input_is_read_or_refused(target: Target) -> None:
    """Nothing but the errors that a parser documents, in bounded time and memory."""
    outcome = run_cases(target, SEED, 0, CASES - 1)
    assert outcome.findings == []
    assert outcome.cases == CASES
    assert 0 < outcome.accepted < CASES


def test_a_case_can_be_made_again(tmp_path: Path) -> None:
    """From seed, target and number alone; another number or seed is another case."""
    target = TARGETS[0]
    seeds = target.seeds(tmp_path)
    assert case_of(target, seeds, 7, 41) == case_of(target, seeds, 7, 41)
    assert len({case_of(target, seeds, seed, number) for seed in (1, 2) for number in (1, 2)}) == 4


def seeds(_: Path) -> list[Case]:
    return [(b"0123456789" * 4,)]


def raises(case: Case, _: Path) -> bool:
    if len(case[0]) == 40:
        return True
    if len(case[0]) < 40:
        raise WireError(Cause.BAD_EVENT, "refused")
    raise KeyError(len(case[0]))


def takes_memory(case: Case, _: Path) -> bool:
    return bool(np.ones(200 * 2**20 if len(case[0]) > 40 else 1, np.uint8).any())


def reserves_memory(case: Case, _: Path) -> bool:
    return np.empty(2**40 if len(case[0]) > 40 else 1, np.uint8).size > 0


def ends_the_process(case: Case, _: Path) -> bool:
    if len(case[0]) > 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return True


def takes_time(case: Case, _: Path) -> bool:
    until_s = time.process_time() + 0.2
    while len(case[0]) > 40 and time.process_time() < until_s:
        pass
    return True


def never_ends(case: Case, _: Path) -> bool:
    while len(case[0]) > 40:
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("parse", "fault"),
    [
        (raises, "KeyError"),
        (takes_memory, "MiB of memory"),
        (reserves_memory, "MemoryError"),
        (takes_time, "s of processor time"),
        (ends_the_process, "ends the process with code -9"),
        (never_ends, "does not end"),
    ],
)
def test_a_parser_that_breaks_its_promise_is_found(
    parse: Parse, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the case that shows it is named, also where it ends the process."""
    monkeypatch.setattr(campaign, "CPU_S_MAX", 0.1)
    monkeypatch.setattr(campaign, "WITHOUT_END_S", 3)
    monkeypatch.setattr(campaign, "FINDINGS_MAX", 1)
    outcome = run_cases(Target("broken", seeds, parse, (WireError,)), SEED, 0, 99)
    number, text = outcome.findings[0]
    assert fault in text
    (damaged,) = case_of(Target("broken", seeds, parse, ()), seeds(Path()), SEED, number)
    assert len(damaged) > 40
