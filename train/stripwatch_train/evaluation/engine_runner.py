"""Engine runner: frames in, predictions out, two batches in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import IN_FLIGHT, BatchResult, EngineFactory, page_aligned
from stripwatch.errors import DeviceError

# Half of 1/255, the smallest step. An engine returns probabilities only for frames in which a pixel
# reaches its threshold; with this one, the probabilities of all other frames round to 0.
LEAST_PROBABILITY = 0.5 / 255
Frame = NDArray[np.uint8]  # [lines, pixels]
Shape = tuple[int, int]  # lines, pixels


@dataclass(frozen=True, slots=True)
class Prediction:
    """Output of a model for one frame."""

    # [classes, lines, pixels]; probability * 255. All 0 where a gate in mode `skip` finds the class
    # absent: on the line it is then found at no threshold.
    prob: NDArray[np.uint8]
    absent: NDArray[np.bool_]  # [classes]; a gate judges the class absent from the frame


class EngineRunner:
    """An engine and the memory of the frames that it reads, two batches under way."""

    def __init__(self, factory: EngineFactory, shape: Shape, rows: int, classes: int) -> None:
        self._slots = [page_aligned((rows, *shape), np.uint8) for _ in range(IN_FLIGHT)]
        self._thresholds = np.full(classes, LEAST_PROBABILITY, np.float32)
        self._engine = factory(self._slots)

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Predictions of the frames, in order."""
        source = iter(frames)
        free = deque(range(IN_FLIGHT))
        under_way: deque[tuple[int, int]] = deque()  # slot, rows
        try:
            while True:
                while free and (batch := list(islice(source, len(self._slots[0])))):
                    slot = free.popleft()
                    for row, frame in enumerate(batch):
                        self._slots[slot][row] = frame
                    self._engine.submit(slot, len(batch), self._thresholds)
                    under_way.append((slot, len(batch)))
                if not under_way:
                    return
                slot, rows = under_way[0]
                result = self._engine.wait(slot)
                under_way.popleft()
                found = [_prediction_of_row(result, row) for row in range(rows)]
                free.append(slot)
                yield from found
        finally:  # the caller may stop in between
            for slot, _ in under_way:
                with suppress(DeviceError):  # the results are not needed any more
                    self._engine.wait(slot)

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


def _prediction_of_row(result: BatchResult, row: int) -> Prediction:
    """A copy of one row, because the engine reuses its memory."""
    absent = result.absent[row].astype(np.bool_)
    if not result.area[row].any():
        return Prediction(np.zeros_like(result.prob[row]), absent)
    return Prediction(result.prob[row].copy(), absent)
