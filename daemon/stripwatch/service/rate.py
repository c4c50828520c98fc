"""How many a second, from a count that is read now and then."""

from __future__ import annotations

BETWEEN_S_MIN = 0.5  # readings closer than this would show a burst as a rate


class Rate:
    """The rate between two readings, the last one again where the next comes too soon.

    After a stall the reader comes twice at once, and what was held back is counted between the two.
    """

    def __init__(self, now_s: float) -> None:
        """`now_s`: when counting begins, at 0."""
        self._count, self._at_s, self._per_s = 0, now_s, 0.0

    def update(self, count: int, now_s: float) -> float:
        """The rate, 1/s, up to this reading."""
        between_s = now_s - self._at_s
        if between_s >= BETWEEN_S_MIN:
            self._per_s = (count - self._count) / between_s
            self._count, self._at_s = count, now_s
        return self._per_s
