"""What happens in one run, drawn from its seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from enum import StrEnum
from typing import Literal

import msgspec

STEPS_S = 7.0  # within which faults begin
STEPS_MIN, STEPS_MAX = 3, 7


class Fault(StrEnum):
    """What is done to the line."""

    KILL = "kill"  # kill -9, and a restart
    TERMINATE = "terminate"  # SIGTERM, and a restart
    FREEZE = "freeze"  # SIGSTOP, then SIGCONT

    DISK_FULL = "disk_full"  # of a small file system
    FILE_LIMIT = "file_limit"  # no file of the daemon may grow
    READ_ONLY = "read_only"  # the journal's files and folder
    LOCKED = "locked"  # by another program
    REMOVED = "removed"  # the journal's files are moved away
    SLOW_DISK = "slow_disk"  # every fsync takes half a second
    IO_ERROR = "io_error"  # writes and fsyncs fail
    SYNC_ERROR = "sync_error"  # what was written cannot be synchronized

    CAMERA_LOST = "camera_lost"  # no connection, while it goes on counting
    NEW_SESSION = "new_session"
    COUNT_AGAIN = "count_again"  # the same session from 0
    CLOCK_STEP = "clock_step"  # of the camera
    NETWORK_CUT = "network_cut"  # every connection through the proxy ends


STORAGE_FAULTS = frozenset(
    (
        Fault.DISK_FULL,
        Fault.FILE_LIMIT,
        Fault.READ_ONLY,
        Fault.LOCKED,
        Fault.SLOW_DISK,
        Fault.IO_ERROR,
        Fault.SYNC_ERROR,
    )
)
CAMERA_FAULTS = frozenset(
    (Fault.CAMERA_LOST, Fault.NEW_SESSION, Fault.COUNT_AGAIN, Fault.CLOCK_STEP)
)
# So that most runs have what nothing else in the project tests.
_WEIGHTS = {Fault.KILL: 6, Fault.TERMINATE: 3}


class Step(msgspec.Struct, frozen=True):
    """One fault: when it begins, and how long it lasts (of a restart: until the next start)."""

    at_s: float
    fault: Fault
    for_s: float
    camera: str


class Chances(msgspec.Struct, frozen=True):
    """What becomes of a frame on its way; probabilities."""

    skip: float = 0.0  # its number is used, and it is not sent
    duplicate: float = 0.0
    reorder: float = 0.0  # it leaves after the next


class Plan(msgspec.Struct, frozen=True):
    """Everything that differs from run to run."""

    seed: int
    pattern: Literal["sub", "pull"]
    proxied: bool  # frames come over TCP, through a proxy
    rows: int
    frames_per_s: float  # of each camera
    chances: Chances
    engine_delay_ms: float
    engine_fail_every: int
    slow_subscribers: int  # that never read
    small_disk: bool  # the journal is on a file system of a few MB
    steps: tuple[Step, ...]

    @property
    def faults(self) -> str:
        """The steps in a few words."""
        return " ".join(f"{step.fault}@{step.at_s:.1f}" for step in self.steps)


CAMERAS = ("top", "bottom")


def plan_of(seed: int, impossible: Collection[Fault] = ()) -> Plan:
    """Draw a run, and leave out what is impossible on this machine."""
    chance = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    small_disk = Fault.DISK_FULL not in impossible and chance.random() < 0.35
    proxied = chance.random() < 0.4
    left_out = {Fault.READ_ONLY if small_disk else Fault.DISK_FULL, *impossible}
    if not proxied:
        left_out.add(Fault.NETWORK_CUT)
    faults = list(Fault)
    weights = [_WEIGHTS.get(fault, 1) for fault in faults]
    steps = []
    again: set[str] = set()
    for _ in range(chance.randint(STEPS_MIN, STEPS_MAX)):
        (fault,) = chance.choices(faults, weights)
        step = Step(
            at_s=round(chance.uniform(0.5, STEPS_S), 2),
            fault=fault,
            for_s=round(chance.uniform(0.05, 2.5), 2),
            camera=chance.choice(CAMERAS),
        )
        # A session that counts again twice has no numbers that tell which time is meant.
        if fault in left_out or (fault is Fault.COUNT_AGAIN and step.camera in again):
            continue
        if fault is Fault.COUNT_AGAIN:
            again.add(step.camera)
        steps.append(step)
    noisy = chance.random() < 0.5
    return Plan(
        seed=seed,
        pattern=chance.choice(("sub", "pull")),
        proxied=proxied,
        rows=chance.randint(1, 4),
        frames_per_s=round(chance.uniform(30, 120), 1),
        chances=Chances(*(chance.choice((0.0, 0.01, 0.1)) for _ in range(3)))
        if noisy
        else Chances(),
        engine_delay_ms=chance.choice((0.0, 0.0, 5.0, 10.0)),
        engine_fail_every=chance.choice((0, 0, 0, 40)),
        slow_subscribers=chance.choice((0, 0, 1, 3)),
        small_disk=small_disk,
        steps=tuple(sorted(steps, key=lambda step: step.at_s)),
    )
