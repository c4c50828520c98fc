"""An engine that costs nothing and finds defects: its results are made once, in advance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Engine, EngineFactory, Frames, allocate_result
from stripwatch.inspect.findings import Segmentation


class CannedEngine:
    """Answers every batch at once with results that lie ready in the slot's memory.

    What it finds has nothing to do with the frames. A share of all frames is defective, evenly
    spread.
    """

    def __init__(
        self, slots: Sequence[Frames], found: Sequence[Segmentation], share: float
    ) -> None:
        """Fill the results of all slots.

        Args:
            slots: uint8 [rows, lines, pixels] each.
            found: what is found in defective frames, in turn.
            share: of defective frames, from 0 to 1.
        """
        self._share = share
        self._frames = 0
        self._rows = [0] * len(slots)
        self._results = [allocate_result(frames, len(found[0].area)) for frames in slots]
        self._areas: list[NDArray[np.float32]] = []
        number = 0
        for result in self._results:
            for row in range(len(result.mask)):
                canned = found[number % len(found)]
                number += 1
                result.mask[row], result.prob[row] = canned.mask, canned.prob
                result.area[row] = canned.area
                result.peak[row] = canned.prob.max(axis=(1, 2)) / 255
            self._areas.append(result.area.copy())

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:  # noqa: ARG002
        """Start a batch."""
        self._rows[slot] = rows

    def done(self, slot: int) -> bool:  # noqa: ARG002
        """Whether a batch is done: it always is."""
        return True

    def wait(self, slot: int) -> BatchResult:
        """The result of a batch; only the areas tell a defective frame from a clean one."""
        rows, result = self._rows[slot], self._results[slot]
        numbers = self._frames + np.arange(rows + 1)
        self._frames += rows
        defective = np.diff(np.floor(numbers * self._share)) > 0
        result.area[:rows] = self._areas[slot][:rows] * defective[:, None]
        return result.rows(rows)

    def close(self) -> None:
        """Nothing is to be freed."""


def canned_factory(found: Sequence[Segmentation], share: float) -> EngineFactory:
    """A factory for such engines; see `CannedEngine`."""

    def make(slots: Sequence[Frames], beside: Engine | None = None) -> CannedEngine:  # noqa: ARG001
        return CannedEngine(slots, found, share)

    return make
