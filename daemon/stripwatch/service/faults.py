"""Faults as states: each is logged when it begins and when it ends, not for every frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stripwatch.wire.causes import Cause

QUIET_LOOKS = 5  # a look is a second

FaultKey = tuple[str, Cause]  # camera ("" where it is unknown), cause


@dataclass(frozen=True, slots=True)
class FaultChange:
    """A fault that has begun or ended since the last look."""

    camera: str
    cause: Cause
    ended: bool
    count: int  # frames or messages since it began; of one that begins, until now


class FaultStates:
    """Follows counters that only grow.

    A fault begins when its counter rises and ends when it has stood still for `QUIET_LOOKS` looks:
    one that comes and goes is one fault, with one beginning and one end in the log.
    """

    def __init__(self) -> None:
        self._last: Counter[FaultKey] = Counter()
        self._count_before: dict[FaultKey, int] = {}  # of the faults under way
        self._quiet_looks: Counter[FaultKey] = Counter()  # in a row, of the faults under way

    def update(self, counts: Counter[FaultKey]) -> list[FaultChange]:
        """Compare the counters with those of the last look."""
        changes: list[FaultChange] = []
        for (camera, cause), count in counts.items():
            key, last = (camera, cause), self._last[camera, cause]
            if count > last and key not in self._count_before:
                self._count_before[key] = last
                changes.append(FaultChange(camera, cause, ended=False, count=count - last))
            self._quiet_looks[key] = self._quiet_looks[key] + 1 if count == last else 0
            if self._quiet_looks[key] >= QUIET_LOOKS and key in self._count_before:
                total = count - self._count_before.pop(key)
                changes.append(FaultChange(camera, cause, ended=True, count=total))
        self._last = Counter(counts)
        return changes

    def cameras(self, cause: Cause) -> tuple[str, ...]:
        """The cameras with a fault of this cause under way; "" where the camera is unknown."""
        return tuple(sorted(camera for camera, of in self._count_before if of is cause))
