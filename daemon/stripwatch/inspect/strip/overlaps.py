"""Pieces that two cameras of one side see where they overlap.

Two pieces of one class are one defect where a pixel of one lies on a pixel of the other, touches
it, or is nearer than the tolerance. Pieces wait until the other camera has passed their lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.components import Ints
from stripwatch.inspect.findings import Finding
from stripwatch.inspect.strip.fields import Field, StripRuns, Zone, runs_on_strip
from stripwatch.inspect.strip.open_defects import Lines, OpenDefect
from stripwatch.inspect.strip.seams import CameraSeam, meet

WAIT_FRAMES = 256  # of all cameras, for one that is behind or silent
RUNS_MAX = 200_000  # that wait for one camera; 5 MB


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The pieces of one frame that lie in one zone."""

    strip: str | None
    leg: int
    lines: Lines
    frame: int  # number of the frame among those of all cameras
    numbers: list[int]  # of the pieces among the findings of their frame
    lines_of: list[Lines]  # of each piece
    reaches: list[bool]  # whether the piece goes on beyond the camera's field, towards the other
    of_piece: Ints  # number in `numbers` of each run
    classes: Ints  # of each run
    runs: StripRuns
    left_to_other: NDArray[np.bool_]  # runs that the other camera counts
    owners: list[OpenDefect]  # one for each piece, once they are known


def make_batch(
    findings: Sequence[Finding],
    field: Field,
    zone: Zone,
    seam: CameraSeam,
    place: tuple[int, int],
) -> Batch | None:
    """The batch of a frame; None where nothing lies in the zone.

    Args:
        findings: of the frame.
        field: of its camera.
        zone: of that camera.
        seam: of that camera, which has followed the frame.
        place: first line and number of the frame.
    """
    begin, end = zone.columns
    numbers, lines_of, reaches, parts = [], [], [], []
    for number, finding in enumerate(findings):
        left, right = field.columns_of(finding)
        if right <= begin or end <= left:
            continue
        runs = runs_on_strip(finding, field, place[0], line_reversed=seam.line_reversed)
        inside = slice(*runs.columns.searchsorted(zone.columns))
        columns, firsts, ends = runs.columns[inside], runs.firsts[inside], runs.ends[inside]
        if not len(columns):  # of many small ones that are reported as one
            continue
        numbers.append(number)
        lines_of.append((int(firsts.min()), int(ends.max())))
        reaches.append(left <= zone.border < right)
        parts.append((columns, firsts, ends))
    if not numbers:
        return None
    columns, firsts, ends = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    counts = [len(part[0]) for part in parts]
    classes = [findings[number].defect_class.id for number in numbers]
    return Batch(
        strip=seam.strip,
        leg=seam.leg,
        lines=(int(firsts.min()), int(ends.max())),
        lines_of=lines_of,
        frame=place[1],
        numbers=numbers,
        reaches=reaches,
        of_piece=np.arange(len(numbers)).repeat(counts),
        classes=np.array(classes).repeat(counts),
        runs=StripRuns(columns, firsts, ends),
        left_to_other=(columns >= zone.left_to_other[0]) & (columns < zone.left_to_other[1]),
        owners=[],
    )


def touching(one: Batch, other: Batch, reach: tuple[int, int]) -> list[tuple[int, int]]:
    """Pairs of pieces, by their places in the batches, that touch within `reach`.

    Args:
        one: of one camera.
        other: of the other camera.
        reach: columns apart, and lines between, at most.
    """
    reach_px, reach_lines = reach
    base = min(one.lines[0], other.lines[0])
    stride = max(one.lines[1], other.lines[1]) - base + 2 * reach_lines + 2
    left = min(int(one.runs.columns.min()), int(other.runs.columns.min()))
    right = max(int(one.runs.columns.max()), int(other.runs.columns.max()))
    of_class = (right - left + reach_px + 1) * stride

    def keys(batch: Batch) -> Ints:
        place: Ints = batch.classes * of_class + (batch.runs.columns - left) * stride - base
        return place

    here, there = keys(one), keys(other)
    order = np.argsort(there + other.runs.firsts, kind="stable")
    begins = (there + other.runs.firsts)[order]
    # Blocks of coarse masks may lie on each other; all that could touch are looked at below.
    ends = np.maximum.accumulate((there + other.runs.ends)[order])
    pairs: set[tuple[int, int]] = set()
    for shift in range(-reach_px, reach_px + 1):
        low = ends.searchsorted(here + one.runs.firsts + shift * stride - reach_lines)
        high = begins.searchsorted(
            here + one.runs.ends + shift * stride + reach_lines, side="right"
        )
        counts = np.maximum(high - low, 0)
        mine = np.arange(len(here)).repeat(counts)
        theirs = order[np.arange(len(mine)) + (low - (counts.cumsum() - counts)).repeat(counts)]
        meets = (
            (other.runs.ends[theirs] >= one.runs.firsts[mine] - reach_lines)
            & (other.runs.firsts[theirs] <= one.runs.ends[mine] + reach_lines)
            & (other.runs.columns[theirs] == one.runs.columns[mine] + shift)
            & (other.classes[theirs] == one.classes[mine])
        )
        found = one.of_piece[mine[meets]], other.of_piece[theirs[meets]]
        pairs.update(zip(*(numbers.tolist() for numbers in found), strict=True))
    return sorted(pairs)


def effects(batch: Batch, lines: Lines | None, reach_lines: int) -> list[tuple[bool, int]]:
    """What it means for each piece that the other camera has missed lines; None: unknown ones.

    Whether it may go on there, and how many of its pixels now nobody else counts.
    """
    goes_on = [
        reaches and (lines is None or meet(of, lines, reach_lines))
        for of, reaches in zip(batch.lines_of, batch.reaches, strict=True)
    ]
    if lines is None or not meet(batch.lines, lines, 0):
        return [(one, 0) for one in goes_on]
    covered = np.minimum(batch.runs.ends, lines[1]) - np.maximum(batch.runs.firsts, lines[0])
    covered = np.where(batch.left_to_other, np.maximum(covered, 0), 0)
    pixels = np.bincount(batch.of_piece, covered, len(batch.numbers)).astype(int).tolist()
    return list(zip(goes_on, pixels, strict=True))


class Waiting:
    """The batches that wait for one camera to pass their lines."""

    def __init__(self, reach_lines: int) -> None:
        self._reach_lines = reach_lines
        self._batches: deque[Batch] = deque()
        self._runs = 0

    def add(self, batch: Batch) -> None:
        """Let a batch wait, whose pieces are held meanwhile."""
        for owner in batch.owners:
            owner.root.holds += 1
        self._batches.append(batch)
        self._runs += len(batch.of_piece)

    def near(self, batch: Batch) -> Iterator[Batch]:
        """The batches in whose lines another one may touch them."""
        for waiting in self._batches:
            is_there = (waiting.strip, waiting.leg) == (batch.strip, batch.leg)
            if is_there and meet(waiting.lines, batch.lines, self._reach_lines):
                yield waiting

    def missed(
        self, seam: CameraSeam, lines: Lines | None
    ) -> Iterator[tuple[OpenDefect, bool, int]]:
        """What it means for each piece that the camera has missed lines; see `effects`."""
        for batch in self._batches:
            if batch.strip == seam.strip and (lines is None or batch.leg == seam.leg):
                for owner, effect in zip(
                    batch.owners, effects(batch, lines, self._reach_lines), strict=True
                ):
                    yield owner, *effect

    def take_passed(self, seam: CameraSeam) -> list[OpenDefect]:
        """Remove the batches that the camera has passed; returns what is not held any more."""
        passed = [batch for batch in self._batches if is_past(seam, batch, self._reach_lines)]
        return [owner for batch in passed for owner in self._drop(batch)]

    def take_strip(self, strip: str | None) -> list[OpenDefect]:
        """Remove the batches of a strip to which the camera does not come any more."""
        over = [batch for batch in self._batches if batch.strip == strip]
        return [owner for batch in over for owner in self._drop(batch)]

    def take_too_old(self, frame: int) -> list[OpenDefect]:
        """Remove batches beyond the limits, the oldest first; returns as `take_passed`."""
        released: list[OpenDefect] = []
        while self._batches and (
            self._batches[0].frame < frame - WAIT_FRAMES or self._runs > RUNS_MAX
        ):
            released += self._drop(self._batches[0])
        return released

    def _drop(self, batch: Batch) -> list[OpenDefect]:
        self._batches.remove(batch)
        self._runs -= len(batch.of_piece)
        return batch.owners


def is_past(seam: CameraSeam, batch: Batch, reach_lines: int) -> bool:
    """Whether no later frame of a camera can touch a batch of another one."""
    if batch.strip in seam.ended:
        return True
    if seam.strip != batch.strip or not seam.has_begun or seam.is_fresh:
        return False  # it has yet to come to this strip
    if seam.leg != batch.leg:
        return seam.leg > batch.leg
    if not seam.has_line:
        return True  # its pieces cannot be placed
    if seam.line_reversed:
        return seam.next_line < batch.lines[0] - 1 - reach_lines
    return seam.next_line > batch.lines[1] + reach_lines
