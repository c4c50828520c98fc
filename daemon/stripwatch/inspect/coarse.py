"""A limit on the masks of a frame of noise, so that encoding them has a bounded cost (ADR 18).

Above the limit, masks are made of square blocks: a block is set where any of its pixels is. So the
mask covers every pixel of the defect. Area, box, centroid, score and peak stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stripwatch.inspect.defects import Finding
from stripwatch.wire.rle import Runs, runs_of_mask

FRAME_RUNS_MAX = 20_000  # of all masks of a frame; about 20 ms and 300 kB; steel has few thousand
BLOCK_PX_MIN, BLOCK_PX_MAX = 4, 1024


def limit_masks(findings: Sequence[Finding], runs_max: int = FRAME_RUNS_MAX) -> list[Finding]:
    """The same findings, with coarser masks where the frame's masks have too many runs.

    The masks with the most runs become coarser first; each is left at least its equal share.
    """
    limited = list(findings)
    total = sum(len(finding.runs.starts) for finding in limited)
    if total <= runs_max:
        return limited
    share = max(runs_max // len(limited), 1)
    order = sorted(range(len(limited)), key=lambda index: -len(limited[index].runs.starts))
    for index in order:
        before = limited[index]
        block_px, runs = BLOCK_PX_MIN, before.runs
        while len(runs.starts) > share and block_px <= BLOCK_PX_MAX:
            runs = coarsen(before.runs, block_px)
            limited[index] = replace(before, runs=runs, mask_block_px=block_px)
            block_px *= 2
        total -= len(before.runs.starts) - len(limited[index].runs.starts)
        if total <= runs_max:
            break
    return limited


def coarsen(runs: Runs, block_px: int) -> Runs:
    """The runs of a mask of square blocks that covers the mask of `runs`."""
    lines, pixels = runs.shape
    edges = np.zeros(lines * pixels + 1, np.int8)
    edges[runs.starts] += 1
    edges[runs.starts + runs.lengths] -= 1
    mask = np.cumsum(edges[:-1], dtype=np.int8).reshape(pixels, lines)
    rows, columns = -(-pixels // block_px), -(-lines // block_px)
    padded = np.zeros((rows * block_px, columns * block_px), np.uint8)
    padded[:pixels, :lines] = mask
    blocks = padded.reshape(rows, block_px, columns, block_px).max(axis=(1, 3))
    coarse = blocks.repeat(block_px, axis=0).repeat(block_px, axis=1)[:pixels, :lines]
    return runs_of_mask(np.ascontiguousarray(coarse.T))
