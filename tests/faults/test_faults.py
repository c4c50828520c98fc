"""The daemon under faults: fixed schedules for what once was wrong, and a few that are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.lab.faults.plan import Chances, Fault, Plan, Step, plan_of
from stripwatch.lab.faults.run import run_plan
from stripwatch.lab.faults.soak import line_of
from stripwatch.lab.faults.storage import impossible_faults

SEEDS = (15, 1002, 1003)


def plan(*steps: Step, small_disk: bool = False) -> Plan:
    """A line without other faults, whose cameras wait for the daemon."""
    return Plan(
        seed=0,
        pattern="pull",
        proxied=False,
        rows=3,
        frames_per_s=60.0,
        chances=Chances(),
        engine_delay_ms=0.0,
        engine_fail_every=0,
        slow_subscribers=1,
        small_disk=small_disk,
        steps=steps,
    )


PLANS = {
    # A transaction whose fsync failed was on the disk all the same, and was written once more.
    "sync errors": plan(
        *(Step(at_s, Fault.SYNC_ERROR, 0.5, "top") for at_s in (0.3, 1.3, 2.3, 3.3))
    ),
    # A session that counts again was forgotten by a restart, and so were the frames until then.
    "kills after a session counts again": plan(
        Step(0.2, Fault.COUNT_AGAIN, 0, "top"),
        Step(1.2, Fault.KILL, 0.2, "top"),
        Step(2.8, Fault.KILL, 0.2, "top"),
    ),
    # The counts of a new journal spoke of events that only the lost one had.
    "a kill after the journal is removed": plan(
        Step(0.5, Fault.REMOVED, 0, "top"), Step(1.5, Fault.KILL, 0.2, "top")
    ),
    "kills while the disk is full": plan(
        Step(0.3, Fault.DISK_FULL, 2.5, "top"),
        Step(1.0, Fault.KILL, 0.1, "top"),
        Step(3.2, Fault.TERMINATE, 0.1, "top"),
        small_disk=True,
    ),
}


def check(plan: Plan, folder: Path) -> None:
    outcome = run_plan(plan, folder)
    assert not outcome.faults, f"{line_of(outcome)}\n{(folder / 'log').read_text()[-3000:]}"


@pytest.fixture
def impossible(tmp_path_factory: pytest.TempPathFactory) -> dict[Fault, str]:
    """What this machine does not allow, with reasons."""
    return impossible_faults(tmp_path_factory.mktemp("trial"))


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one with a short name, for the paths of sockets."""
    return tmp_path_factory.mktemp("f")


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_all_holds_after(name: str, folder: Path, impossible: dict[Fault, str]) -> None:
    """Coverage, numbers, what was published, memory, and the journal itself."""
    for step in PLANS[name].steps:
        if step.fault in impossible:
            pytest.skip(impossible[step.fault])
    check(PLANS[name], folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_all_holds_after_faults_that_are_drawn(
    seed: int, folder: Path, impossible: dict[Fault, str]
) -> None:
    """The seed is the name of the test; `make soak SEEDS=1-200` runs many."""
    check(plan_of(seed, impossible), folder)
