"""Findings: connected components of the classes in a frame, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.components import ColumnRuns, Ints, Mask, find_runs
from stripwatch.wire.names import CLASSES_MAX, SIDE_MAX
from stripwatch.wire.rle import Runs

Span = tuple[int, int]  # first, and one past the last

_BITS = (1 << np.arange(CLASSES_MAX)).astype(np.uint8)
_BLOCK_PX = 2  # components are put in the order of their first block of so many lines and pixels


class Finding(msgspec.Struct, frozen=True):
    """One connected component of one class in one frame, in pixels of the frame."""

    defect_class: DefectClass
    box: tuple[int, int, int, int]  # x, y, width, height
    area: int
    centroid: tuple[float, float]  # x, y
    score: float  # mean probability over the component
    peak: float  # largest probability over the component
    runs: Runs
    top: tuple[Span, ...]  # spans of pixels in the frame's first line
    bottom: tuple[Span, ...]  # spans of pixels in the frame's last line
    mask_block_px: int = 1  # side of the blocks of which `runs` is made; 1 = it is exact (ADR 18)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What the engine found in one frame, and the classes to look for there."""

    mask: Mask  # [lines, pixels], bit c-1 set where class c is present
    prob: NDArray[np.uint8]  # [classes, lines, pixels], probability * 255
    area: NDArray[np.float32]  # [classes], pixels of each class
    classes: Sequence[DefectClass]  # names and minimum areas, in order of their ids


class _Component(msgspec.Struct, frozen=True):
    """A component, or the union of several, of one class."""

    frame: int
    bit: int
    box: tuple[int, int, int, int]
    area: int
    centroid: tuple[float, float]
    numbers: slice | Ints  # of its column runs


def find_defects_of_frames(frames: Sequence[Segmentation], defects_max: int) -> list[list[Finding]]:
    """Find the defects of several frames, which costs less than one after the other.

    Args:
        frames: of equal width.
        defects_max: of each class in a frame. Beyond it the smallest are reported as one finding
            whose mask is their union, so that nothing is lost and a frame of noise has a bounded
            cost.

    Returns:
        The findings of each frame of at least the minimum area of their class, by class.
    """
    found: list[list[Finding]] = [[] for _ in frames]
    minima = [minima_of(frame) for frame in frames]  # by bit
    looked_at = [number for number, areas in enumerate(minima) if areas]
    if not looked_at:
        return found
    runs = find_runs(
        [frames[number].mask for number in looked_at],
        [sum(1 << bit for bit in minima[number]) for number in looked_at],
    )
    if not len(runs.xs):  # only in lines that were cropped away
        return found
    table = np.full((len(looked_at), CLASSES_MAX), np.iinfo(np.int64).max)  # not looked for
    for index, number in enumerate(looked_at):
        table[index, list(minima[number])] = list(minima[number].values())
    for component in _measure(runs, table, defects_max):
        number = looked_at[component.frame]
        found[number].append(_finding(component, runs, frames[number]))
    return found


def minima_of(frame: Segmentation) -> dict[int, int]:
    """The smallest area of each bit whose class has enough pixels in the frame."""
    pairs = zip(frame.classes, frame.area.tolist(), strict=True)
    return {
        entry.id - 1: max(entry.min_area_px, 1)
        for entry, area in pairs
        if area >= max(entry.min_area_px, 1)
    }


def _measure(runs: ColumnRuns, minima: Ints, defects_max: int) -> list[_Component]:
    """The components that are large enough, by frame, then by bit.

    Within a bit they are in the order in which OpenCV labels each span of columns: by the first
    block of 2 x 2 pixels. Centroids are sums within that span, as OpenCV's, so that they round
    alike.

    Args:
        runs: of all frames, at least one.
        minima: int64 [frames, 8]; smallest area of each bit.
        defects_max: of a bit in a frame; the last of them then stands for all others.
    """
    first_runs = _changes(runs.labels).nonzero()[0]
    end_runs = np.empty_like(first_runs)
    end_runs[:-1], end_runs[-1] = first_runs[1:], len(runs.labels)
    bits, frames = runs.bits[first_runs], runs.frames[first_runs]
    lengths = runs.lengths
    areas = np.add.reduceat(lengths, first_runs)
    tops = np.minimum.reduceat(runs.firsts, first_runs)
    new_group = _changes(bits * len(minima) + frames)  # of the components of a bit in a frame
    group_tops = np.minimum.reduceat(tops, new_group.nonzero()[0])[new_group.cumsum() - 1]
    origins = group_tops[runs.labels]
    blocks = (runs.firsts - origins) // _BLOCK_PX * SIDE_MAX + (runs.xs - runs.lefts) // _BLOCK_PX
    spans = runs.lefts[first_runs]
    groups = frames * CLASSES_MAX + bits
    ranks = (groups * SIDE_MAX + spans) * SIDE_MAX**2 + np.minimum.reduceat(blocks, first_runs)
    sums_x = np.add.reduceat((runs.xs - runs.lefts) * lengths, first_runs)
    sums_y = np.add.reduceat((runs.firsts + runs.ends - 1 - 2 * origins) * lengths, first_runs) // 2
    kept = (areas >= minima[frames, bits]).nonzero()[0]
    if not len(kept):
        return []
    kept = kept[np.argsort(ranks[kept], kind="stable")]
    kept, others = _largest(kept, groups[kept], areas[kept], defects_max)
    lefts = runs.xs[first_runs]
    columns = (
        frames,
        bits,
        lefts,
        tops,
        runs.xs[end_runs - 1] + 1 - lefts,
        np.maximum.reduceat(runs.ends, first_runs) - tops,
        areas,
        spans + sums_x / areas,
        group_tops + sums_y / areas,
        first_runs,
        end_runs,
    )
    found = [
        _Component(frame, bit, (x, y, width, height), area, (cx, cy), slice(first, end))
        for frame, bit, x, y, width, height, area, cx, cy, first, end in zip(
            *(column[kept].tolist() for column in columns), strict=True
        )
    ]
    if others:
        found += [_union(runs, numbers) for numbers in others]
        found.sort(key=lambda one: (one.frame, one.bit))  # stable: unions are last
    return found


def _largest(kept: Ints, groups: Ints, areas: Ints, defects_max: int) -> tuple[Ints, list[Ints]]:
    """The largest components of each group, and the others of each group that has more.

    The last of `defects_max` stands for these others.
    """
    firsts = _changes(groups).nonzero()[0].tolist()
    ends = [*firsts[1:], len(groups)]
    if all(end - first <= defects_max for first, end in zip(firsts, ends, strict=True)):
        return kept, []
    large = np.ones(len(kept), np.bool_)
    others = []
    for first, end in zip(firsts, ends, strict=True):
        if end - first > defects_max:
            small = first + np.argsort(-areas[first:end], kind="stable")[defects_max - 1 :]
            large[small] = False
            others.append(kept[small])
    return kept[large], others


def _union(runs: ColumnRuns, components: Ints) -> _Component:
    """One component for many small ones of the same bit and frame, given by their numbers."""
    chosen = np.zeros(runs.labels[-1] + 1, np.bool_)
    chosen[components] = True
    numbers = np.flatnonzero(chosen[runs.labels])
    numbers = numbers[np.argsort(runs.xs[numbers] * SIDE_MAX + runs.firsts[numbers])]
    xs, firsts, ends = runs.xs[numbers], runs.firsts[numbers], runs.ends[numbers]
    lengths = runs.lengths[numbers]
    left, top, area = int(xs[0]), int(firsts.min()), int(lengths.sum())
    return _Component(
        frame=int(runs.frames[numbers[0]]),
        bit=int(runs.bits[numbers[0]]),
        box=(left, top, int(xs[-1]) + 1 - left, int(ends.max()) - top),
        area=area,
        centroid=(
            int((xs * lengths).sum()) / area,
            int(((firsts + ends - 1) * lengths).sum()) / 2 / area,
        ),
        numbers=numbers,
    )


def _finding(component: _Component, runs: ColumnRuns, frame: Segmentation) -> Finding:
    """The finding of a component."""
    x, y, width, height = component.box
    lines, pixels = frame.mask.shape
    numbers = component.numbers
    part = frame.mask[y : y + height, x : x + width] & _BITS[component.bit]
    if cv2.countNonZero(part) != component.area:  # another component reaches into the box
        part = _paint(
            runs.xs[numbers] - x, runs.firsts[numbers] - y, runs.ends[numbers] - y, part.shape
        )
    window = frame.prob[component.bit, y : y + height, x : x + width]
    return Finding(
        defect_class=frame.classes[component.bit],
        box=component.box,
        area=component.area,
        centroid=component.centroid,
        # As cv2.mean, in a tenth of its time.
        score=cv2.norm(window, cv2.NORM_L1, part) * (1 / component.area) / 255,
        peak=cv2.minMaxLoc(window, part)[1] / 255,
        runs=_joined(runs.starts[numbers], runs.lengths[numbers], (lines, pixels), height),
        top=_spans(runs.xs[numbers][runs.firsts[numbers] == 0]) if y == 0 else (),
        bottom=_spans(runs.xs[numbers][runs.ends[numbers] == lines]) if y + height == lines else (),
    )


def _joined(starts: Ints, lengths: Ints, shape: tuple[int, int], height: int) -> Runs:
    """Runs that continue in the next column as one; only in a mask as high as the frame they do."""
    if height == shape[0]:
        fresh = np.ones(len(starts), np.bool_)
        np.not_equal(starts[1:], starts[:-1] + lengths[:-1], out=fresh[1:])
        first = np.flatnonzero(fresh)
        starts, lengths = starts[first], np.add.reduceat(lengths, first)
    return Runs(starts, lengths, shape)


def _paint(xs: Ints, firsts: Ints, ends: Ints, shape: tuple[int, int]) -> Mask:
    """The mask, uint8 0 or 1 [h, w], of runs within its columns."""
    height, width = shape
    edges = np.zeros((width, height + 1), np.int8)
    edges[xs, firsts] = 1
    edges[xs, ends] = -1  # no run begins where another ends
    return np.ascontiguousarray(np.cumsum(edges, axis=1, dtype=np.int8)[:, :-1].T).view(np.uint8)


def _spans(xs: Ints) -> tuple[Span, ...]:
    """Pixels of a line, in order, as spans."""
    left, right = int(xs[0]), int(xs[-1])
    if right - left + 1 == len(xs):  # nearly always
        return ((left, right + 1),)
    breaks = (np.diff(xs) > 1).nonzero()[0]
    lefts = [left, *xs[breaks + 1].tolist()]
    ends = [*(xs[breaks] + 1).tolist(), right + 1]
    return tuple(zip(lefts, ends, strict=True))


def _changes(values: Ints) -> NDArray[np.bool_]:
    """Where a value differs from the one before it; the first always does."""
    changes = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes
