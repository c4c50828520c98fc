"""A limit on the masks of a frame of noise, so that encoding them has a bounded cost (ADR 18).

Above the limit, masks are made of square blocks: a block is set where any of its pixels is. So the
mask covers every pixel of the defect. Area, box, centroid, score and peak stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.findings import Finding
from stripwatch.wire.rle import Runs

FRAME_RUNS_MAX = 20_000  # of all masks of a frame; about 20 ms and 300 kB; steel has few thousand
BLOCK_PX_MIN = 4
BLOCK_FACTOR = 4  # from one size of blocks to the next


def limit_masks(findings: Sequence[Finding], runs_max: int = FRAME_RUNS_MAX) -> list[Finding]:
    """The same findings, with coarser masks where the frame's masks have too many runs.

    Short masks stay exact; what they leave is shared equally among the longer ones.
    """
    counts = sorted(len(finding.runs.starts) for finding in findings)
    if sum(counts) <= runs_max:
        return list(findings)
    left, longer = runs_max, len(counts)
    for count in counts:
        if count * longer > left:
            break
        left, longer = left - count, longer - 1
    share = max(left // longer, 1)
    return [
        finding if len(finding.runs.starts) <= share else _limited(finding, share)
        for finding in findings
    ]


def _limited(finding: Finding, runs_max: int) -> Finding:
    """The finding with the smallest blocks, of those tried, with which its mask is short enough."""
    exact = finding.runs
    block_px = BLOCK_PX_MIN
    # A mask has a run in each column, unless it is as high as the frame.
    if finding.box[2] > runs_max:
        block_px = max(block_px, exact.shape[0])
    runs = coarsen(exact, block_px)
    while len(runs.starts) > runs_max and block_px < max(exact.shape):
        block_px *= BLOCK_FACTOR
        runs = coarsen(exact, block_px)
    return msgspec.structs.replace(finding, runs=runs, mask_block_px=block_px)


def coarsen(runs: Runs, block_px: int) -> Runs:
    """The runs of a mask of square blocks that covers the mask of `runs`.

    Cost grows with the number of runs and blocks, not with the frame.
    """
    lines, pixels = runs.shape
    columns, tops, ends = runs_by_column(runs)
    blocks = np.zeros((-(-pixels // block_px), -(-lines // block_px) + 1), np.int32)
    np.add.at(blocks, (columns // block_px, tops // block_px), 1)
    np.add.at(blocks, (columns // block_px, (ends - 1) // block_px + 1), -1)
    covered = np.zeros((len(blocks), blocks.shape[1] + 1), np.bool_)
    np.greater(np.cumsum(blocks, axis=1), 0, out=covered[:, 1:])
    across, down = np.nonzero(covered[:, 1:] != covered[:, :-1])  # begin, end, begin, end ...
    first, last = down[0::2] * block_px, np.minimum(down[1::2] * block_px, lines)
    column = (across[0::2, None] * block_px + np.arange(block_px)).ravel()
    starts = column * lines + first.repeat(block_px)
    lengths = (last - first).repeat(block_px)
    order = np.argsort(starts, kind="stable")
    order = order[column[order] < pixels]
    starts, lengths = starts[order], lengths[order]
    fresh = np.flatnonzero(np.r_[True, starts[1:] != starts[:-1] + lengths[:-1]])
    return Runs(starts[fresh], np.add.reduceat(lengths, fresh), runs.shape)


def runs_by_column(runs: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Column, first line, and one past the last line of every run, cut at the ends of columns."""
    lines = runs.shape[0]
    column, last = runs.starts // lines, (runs.starts + runs.lengths - 1) // lines
    parts = last - column + 1
    ends = runs.starts + runs.lengths
    part = np.arange(parts.sum()) - (np.cumsum(parts) - parts).repeat(parts)  # 0, 1, ... of a run
    columns = column.repeat(parts) + part
    tops = np.maximum(runs.starts.repeat(parts) - columns * lines, 0)
    return columns, tops, np.minimum(ends.repeat(parts) - columns * lines, lines)
