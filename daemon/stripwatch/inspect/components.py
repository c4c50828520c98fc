"""Connected components of the masks of several frames at once, by whole-array work on runs.

A mask becomes runs down its columns, and the components are those of the graph of runs that touch
in neighbouring columns. So the cost of calls is shared by all frames and classes, and what is
computed grows with the runs; only the first look at a mask touches every pixel (ADR 20).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Ints = NDArray[np.int64]

_BITS = (1 << np.arange(8)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class ColumnRuns:
    """The runs of masks, int64 [runs] each; a run never leaves its column.

    They are in the order of their components, then of columns and lines. The components are in
    the order of bits, then frames.
    """

    bits: Ints  # number of the run's bit, from 0
    frames: Ints  # which of the masks, from 0
    xs: Ints  # column
    firsts: Ints  # line
    ends: Ints  # one past the last line
    lengths: Ints
    starts: Ints  # pixel, numbered down the columns of the run's own mask
    labels: Ints  # number of the run's 8-connected component, from 0
    lefts: Ints  # where the span of columns begins that hold the run's bit without a hole


def find_runs(masks: Sequence[Mask], wanted: Sequence[int]) -> ColumnRuns:
    """The runs of masks, by component.

    Args:
        masks: uint8 [lines, pixels] each; they may differ in lines.
        wanted: the bits to look at in each mask.
    """
    plane, frames, xs = _side_by_side(masks, wanted)
    columns, stride = plane.shape  # the last line is empty: every run ends in its column
    flat = plane.ravel()
    changes = flat[1:] ^ flat[:-1]
    places = (changes != 0).nonzero()[0]
    # The planes of the bits follow each other; in each, edges are begin, end, begin, end ...
    chosen = ((changes[places] & _BITS[:, None]) != 0).ravel().nonzero()[0]
    bits = chosen // max(len(places), 1)
    edges = places[chosen - bits * len(places)] + (bits * flat.size + 1)
    begins, ends, bits = edges[0::2], edges[1::2], bits[0::2]
    column = begins // stride
    here = column - bits * columns
    x = xs[here]
    begins_span = np.ones(len(x), np.bool_)
    np.greater(column[1:] - column[:-1], 1, out=begins_span[1:])
    lefts = x[begins_span][begins_span.cumsum() - 1]
    firsts = begins - column * stride
    labels = _label(begins, ends, stride)
    # As a stable argsort of `labels`, at a fifth of the time for a frame of noise.
    keys = np.sort(labels * len(labels) + np.arange(len(labels)))
    labels = keys // max(len(keys), 1)
    order = keys - labels * len(keys)
    frame, x, first, length = frames[here[order]], x[order], firsts[order], (ends - begins)[order]
    own_lines = np.array([len(mask) for mask in masks])
    return ColumnRuns(
        bits=bits[order],
        frames=frame,
        xs=x,
        firsts=first,
        ends=first + length,
        lengths=length,
        starts=x * own_lines[frame] + first,
        labels=labels,
        lefts=lefts[order],
    )


def _side_by_side(masks: Sequence[Mask], wanted: Sequence[int]) -> tuple[Mask, Ints, Ints]:
    """All columns in which a wanted bit is set, as uint8 [columns, lines + 1].

    Also the frame of each and its place there. An empty column comes before each span of them, so
    that no component crosses from one to the next, and an empty line after the last.
    """
    spans: list[tuple[int, int, int]] = []  # frame, first column, one past the last
    for frame, (mask, bits) in enumerate(zip(masks, wanted, strict=True)):
        present = np.zeros(mask.shape[1] + 2, np.bool_)
        np.not_equal(np.bitwise_or.reduce(mask, axis=0) & bits, 0, out=present[1:-1])
        edges = (present[1:] != present[:-1]).nonzero()[0].tolist()
        spans += [(frame, *span) for span in zip(edges[0::2], edges[1::2], strict=True)]
    widths = [1 + end - left for _, left, end in spans]
    plane = np.zeros((max(map(len, masks)) + 1, sum(widths)), np.uint8)
    shifts, place = [], 1
    for (frame, left, end), width in zip(spans, widths, strict=True):
        mask = masks[frame]
        plane[: len(mask), place : place + end - left] = mask[:, left:end]
        shifts.append(place - left)
        place += width
    frames = np.array([frame for frame, _, _ in spans], np.int64).repeat(widths)
    xs = np.arange(len(frames)) - np.array(shifts, np.int64).repeat(widths)
    if not spans:
        return plane.T, frames, xs
    return np.asarray(cv2.transpose(plane), np.uint8), frames, xs


def _label(begins: Ints, ends: Ints, stride: int) -> Ints:
    """The number of each run's component, from 0 in the order of their first runs.

    Runs are given by their edges, sorted; `stride` is from one column to the next. Two runs touch
    where their ranges of edges do after a step of one column, which includes touching by a corner.
    """
    # The runs of the next column that each run touches follow each other.
    low = ends.searchsorted(begins + stride)
    counts = begins.searchsorted(ends + stride, side="right") - low
    numbers = np.arange(len(begins))
    one = numbers.repeat(counts)
    other = np.arange(len(one)) + (low - (counts.cumsum() - counts)).repeat(counts)
    # Union-find on whole arrays: every root takes the smallest root that it touches, and paths
    # are shortened until all point to roots. The rounds grow with the logarithm of the runs (Liu
    # and Tarjan 2019, "Simple concurrent labeling algorithms for connected components").
    parents = numbers.copy()
    while len(one):
        np.minimum.at(parents, other, one)
        above = parents[parents]
        while (above != parents).any():
            parents, above = above, above[above]
        one, other = parents[one], parents[other]
        apart = one != other
        one, other = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
    new_numbers: Ints = (parents == numbers).cumsum() - 1
    return new_numbers[parents]
