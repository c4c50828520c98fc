"""The roll marks on one side of one strip."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stripwatch.inspect.periodic.comb import (
    CANDIDATES_MAX,
    NEXT,
    SLOTS,
    Comb,
    Covered,
    find_candidates,
    find_comb,
)
from stripwatch.inspect.periodic.coverage import LaneCoverage, Spans
from stripwatch.inspect.periodic.followed import UPDATE_MM, RollMark

State = Literal["opened", "updated", "closed"]
Change = tuple[State, RollMark]

HISTORY_MAX = 1024  # defects that are kept for a width of half a lane
WIDE_LANES = 2  # marks of one period so near to each other are one flaw
READ_MAX = 2048  # earlier defects that are read for one frame; it bounds the work in noise
MARKS_MAX = 64  # that are followed at once


@dataclass(frozen=True, slots=True)
class Limits:
    """What is looked for, in millimetres."""

    period_mm: tuple[float, float]
    lane_mm: float  # to both sides of a defect

    @property
    def memory_mm(self) -> float:
        """How far back the comb of the largest period reaches."""
        return (SLOTS + 1) * self.period_mm[1]


class Side:
    """Follows the defects of one side. Positions are mm in the direction of inspection, across."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._cameras: dict[str, Spans] = {}
        self._history: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._marks: list[RollMark] = []
        self._left = 0  # to be read for this frame

    def inspected(
        self, camera: str, across_mm: tuple[float, float], along_mm: tuple[float, float]
    ) -> None:
        """A camera that sees `across_mm` has inspected a frame from `along_mm` to `along_mm`."""
        spans = self._cameras.get(camera)
        if spans is None:
            spans = self._cameras[camera] = Spans(*across_mm, self._limits.memory_mm)
        spans.add(*along_mm)
        self._left = READ_MAX

    def goes_back(self, camera: str, first_mm: float) -> bool:
        """Whether a frame begins well before the camera's last one ended: all begins anew."""
        spans = self._cameras.get(camera)
        return spans is not None and first_mm < spans.front_mm - self._limits.period_mm[0]

    def defect(self, along_mm: float, across_mm: float) -> Iterator[Change]:
        """Take a defect: a tooth of a known mark, or one that may open a new mark."""
        covered = self._covered(across_mm)
        for mark in self._marks:
            if abs(mark.lane_mm - across_mm) <= self._limits.lane_mm and mark.take(
                along_mm, across_mm, covered
            ):
                return
        comb = self._find(along_mm, across_mm, covered)
        if comb is None:
            self._keep(along_mm, across_mm)
            return
        self._forget(across_mm, set(comb.teeth_mm))
        lane_mm = self._limits.lane_mm
        off_mm = [abs(mark.lane_mm - across_mm) for mark in self._marks]
        again = [
            mark
            for mark, off in zip(self._marks, off_mm, strict=True)
            if off <= WIDE_LANES * lane_mm and mark.is_again(comb, same_lane=off <= lane_mm)
        ]
        if len(self._marks) < MARKS_MAX:
            new = RollMark(comb, across_mm, again[0].told_as if again else None)
            self._marks.append(new)
            if new.is_told:
                yield "opened", new

    def advance(self) -> Iterator[Change]:
        """The marks that have ended, or run on for a while, as far as the strip was inspected."""
        front_mm = max(spans.front_mm for spans in self._cameras.values())
        for mark in [mark for mark in self._marks if mark.due_mm <= front_mm]:
            covered = self._covered(mark.lane_mm)
            if mark.has_ended(covered.front_mm, covered):
                # What was told of as this mark may be told of anew, if it goes on.
                self._marks = [one for one in self._marks if mark not in (one, one.told_as)]
                if mark.is_told:
                    yield "closed", mark
            elif covered.front_mm >= mark.update_mm:
                mark.update_mm = covered.front_mm + UPDATE_MM
                if mark.is_told:
                    yield "updated", mark

    def close(self) -> Iterator[Change]:
        """All marks end here."""
        yield from (("closed", mark) for mark in self._marks if mark.is_told)
        self._marks.clear()

    def _covered(self, across_mm: float) -> Spans | LaneCoverage:
        cameras = [spans for spans in self._cameras.values() if spans.sees(across_mm)]
        if len(cameras) == 1:
            return cameras[0]
        return LaneCoverage(cameras or list(self._cameras.values()))  # none: by rounding

    def _find(self, along_mm: float, across_mm: float, covered: Covered) -> Comb | None:
        """The comb that ends in a defect."""
        if self._left <= 0:
            return None
        period_mm = self._limits.period_mm
        lane = self._lane(along_mm, across_mm, (NEXT[-1] + 1) * period_mm[1])
        candidates_mm = lane and find_candidates(along_mm, lane, covered, period_mm)
        if candidates_mm:
            lane = self._lane(along_mm, across_mm, self._limits.memory_mm)
        self._left -= len(lane)
        return find_comb(along_mm, lane, covered, candidates_mm) if candidates_mm else None

    def _lane(self, along_mm: float, across_mm: float, back_mm: float) -> list[float]:
        """The earlier defects of a lane, ascending; none where there are far too many to test."""
        left_mm, right_mm = across_mm - self._limits.lane_mm, across_mm + self._limits.lane_mm
        stripes = [self._history.get(number, []) for number in self._stripes(across_mm)]
        first, end = (along_mm - back_mm,), (along_mm,)
        recent = (along_mm - self._limits.period_mm[1],)
        candidates = sum(len(stripe) - bisect_left(stripe, recent) for stripe in stripes)
        if candidates > len(stripes) * CANDIDATES_MAX:
            return []
        found = [
            along
            for stripe in stripes
            for along, across in stripe[bisect_left(stripe, first) : bisect_left(stripe, end)]
            if left_mm <= across <= right_mm
        ]
        found.sort()
        return found

    def _keep(self, along_mm: float, across_mm: float) -> None:
        stripe = self._history[int(across_mm // self._limits.lane_mm)]
        insort(stripe, (along_mm, across_mm))
        old = bisect_left(stripe, (along_mm - self._limits.memory_mm,))
        del stripe[: max(old, len(stripe) - HISTORY_MAX)]

    def _forget(self, across_mm: float, teeth_mm: set[float]) -> None:
        """Take teeth out of the history: they are no background of the marks to come."""
        for number in self._stripes(across_mm):
            stripe = self._history.get(number)
            if stripe:
                stripe[:] = [place for place in stripe if place[0] not in teeth_mm]

    def _stripes(self, across_mm: float) -> range:
        middle = int(across_mm // self._limits.lane_mm)
        return range(middle - 1, middle + 2)
