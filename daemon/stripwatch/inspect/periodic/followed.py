"""A known roll mark: each new tooth refines its period, and too many misses close it."""

from __future__ import annotations

from collections.abc import Iterator

from stripwatch.inspect.periodic.comb import DIVISORS, JITTER_MM, SLIP, Comb, Covered

SLOTS_MAX = 64  # without a tooth, inspected or not; then the phase is lost
PLACES = 24  # inspected, of which two must have a tooth; at 40 % seen, 1 mark of 10,000 has not
RECENT = (1 << PLACES) - 1
PLACE_GAIN = 0.5  # of a tooth's deviation, for the phase
PERIOD_GAIN = 0.2  # and for the period: slip changes with the speed
ACROSS_GAIN = 0.1  # the strip wanders slowly
UPDATE_MM = 100_000.0
SAME_PERIOD = 0.005


class RollMark:
    """Where the teeth of one comb are expected, and which of them came.

    Positions are millimetres in the direction of inspection.
    """

    def __init__(self, comb: Comb, lane_mm: float, told_as: RollMark | None = None) -> None:
        """Follow a comb.

        Args:
            comb: found in the lane.
            lane_mm: the lane's middle.
            told_as: the mark of the same flaw that is told of; None: this is the one.
        """
        newest_mm = comb.teeth_mm[0]
        self.p_value = comb.p_value
        self.told_as = told_as or self
        self.name = ""  # in events
        self.lane_mm = lane_mm
        self.first_mm, self.last_mm = comb.teeth_mm[-1], newest_mm
        self.slots = comb.slots  # from the first tooth to the last
        self.teeth, self.missed = len(comb.teeth_mm), comb.missed
        self._turn_mm = comb.period_mm  # as it is now; `period_mm` is the mean
        self._phase_mm = newest_mm  # of the last tooth, smoothed
        places = {round((newest_mm - place) / comb.period_mm) for place in comb.teeth_mm}
        self._seen = sum(1 << place for place in places)  # bit n: n inspected places ago
        self.update_mm = newest_mm + UPDATE_MM
        self._plan_end()

    @property
    def is_told(self) -> bool:
        """Its events are published."""
        return self.told_as is self

    @property
    def period_mm(self) -> float:
        """The mean over the whole mark."""
        return (self.last_mm - self.first_mm) / self.slots

    @property
    def due_mm(self) -> float:
        """Before it there is nothing to tell."""
        return min(self._end_mm, self.update_mm)

    def take(self, at_mm: float, across_mm: float, covered: Covered) -> bool:
        """Whether a defect of the lane is a tooth, or part of one; if so, it is counted."""
        slot = round((at_mm - self._phase_mm) / self._turn_mm)
        deviation_mm = at_mm - self._phase_mm - slot * self._turn_mm
        # Twice the reach of the test: an untaken tooth could open the mark anew.
        reach_mm = 2 * (JITTER_MM + SLIP * self._turn_mm * abs(slot))
        if abs(deviation_mm) > reach_mm or slot < -SLOTS_MAX:
            return False
        if slot <= 0:  # of a camera that lags, or seen before
            if not self._seen >> -slot & 1 and at_mm > self.first_mm:
                self._seen |= 1 << -slot
                self.teeth += 1
                self.missed = max(self.missed - 1, 0)
            return True
        missed = self._inspected(slot - 1, covered)
        self.missed += missed
        self.teeth += 1
        self.slots += slot
        self._seen = (self._seen << missed + 1 | 1) & (1 << SLOTS_MAX) - 1
        self._phase_mm += slot * self._turn_mm + PLACE_GAIN * deviation_mm
        self._turn_mm += PERIOD_GAIN * deviation_mm / slot
        self.last_mm = at_mm
        self.lane_mm += ACROSS_GAIN * (across_mm - self.lane_mm)
        self._plan_end()
        return True

    def has_ended(self, front_mm: float, covered: Covered) -> bool:
        """Whether fewer than two of the last places that were inspected have a tooth.

        Args:
            front_mm: how far the lane was inspected.
            covered: where it was.
        """
        if front_mm < self._end_mm:
            return False
        slots = int((front_mm - self._phase_mm) / self._turn_mm)
        unseen = self._inspected(min(slots, SLOTS_MAX), covered)
        if slots >= SLOTS_MAX or (self._seen << unseen & RECENT).bit_count() < 2:
            return True
        self._end_mm += self._turn_mm  # some of them fell into a gap
        return False

    def is_again(self, comb: Comb, *, same_lane: bool) -> bool:
        """Whether a comb near by has this period: a second spot or mark on the same roll.

        Where it stands in the same lane just between the teeth, the period was a multiple of the
        true one, and is corrected; `update_mm` then is due.
        """
        if abs(comb.period_mm - self._turn_mm) > SAME_PERIOD * self._turn_mm:
            return False
        if not same_lane:
            return True
        turns = (comb.teeth_mm[0] - self._phase_mm) / self._turn_mm
        for divisor in (1, *DIVISORS):
            off = turns * divisor - round(turns * divisor)
            if abs(off) * self._turn_mm / divisor <= 2 * JITTER_MM:
                self._divide(divisor, comb)
                break
        return True

    def _divide(self, divisor: int, comb: Comb) -> None:
        if divisor == 1:
            return
        in_gaps = max(self.slots + 1 - self.teeth - self.missed, 0) * divisor
        self._turn_mm /= divisor
        self.first_mm = min(self.first_mm, comb.teeth_mm[-1])
        self.last_mm = self._phase_mm = max(self.last_mm, comb.teeth_mm[0])
        self.slots = round((self.last_mm - self.first_mm) / self._turn_mm)
        self.teeth += len(comb.teeth_mm)
        self.missed = max(self.slots + 1 - self.teeth - in_gaps, 0)
        self._seen = RECENT  # about: the rest is not known
        self.update_mm = self.last_mm
        self._plan_end()

    def _inspected(self, slots: int, covered: Covered) -> int:
        """How many of the next places were inspected."""
        return sum(map(covered.holds, self._places(slots)))

    def _places(self, slots: int) -> Iterator[float]:
        return (self._phase_mm + slot * self._turn_mm for slot in range(1, slots + 1))

    def _plan_end(self) -> None:
        """Set the place before which the mark cannot end, if nothing falls into a gap."""
        others = self._seen & RECENT & ~1
        second = (others & -others).bit_length() - 1 if others else PLACES
        self._end_mm = self._phase_mm + (PLACES - second) * self._turn_mm + JITTER_MM
