"""Masks of a frame of noise: bounded, and still covering every pixel."""

from __future__ import annotations

import numpy as np
import pytest

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.coarse import FRAME_RUNS_MAX, coarsen, limit_masks
from stripwatch.inspect.defects import find_defects
from stripwatch.inspect.findings import Finding
from stripwatch.wire.rle import decode_severstal, encode_severstal, runs_of_mask

SHAPE = (256, 1600)
CLASSES = tuple(DefectClass(id=index, name=f"kind{index}", min_area_px=1) for index in (1, 2, 3, 4))


def findings_of(mask: np.ndarray) -> list[Finding]:
    bits = [(mask >> index & 1).astype(bool) for index in range(4)]
    prob = np.stack([plane.astype(np.uint8) * 200 for plane in bits])
    area = np.array([plane.sum() for plane in bits], np.float32)
    return find_defects(mask, prob, area, CLASSES, 100)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_noise_has_bounded_masks_that_cover_every_pixel(share: float) -> None:
    """Nothing is lost: areas stay exact, and each class is covered."""
    random = np.random.default_rng(11)
    mask = np.zeros(SHAPE, np.uint8)
    for index in range(4):
        mask |= (random.random(SHAPE) < share).astype(np.uint8) << index
    exact = findings_of(mask)
    limited = limit_masks(exact)
    assert sum(len(finding.runs.starts) for finding in exact) > FRAME_RUNS_MAX
    assert sum(len(finding.runs.starts) for finding in limited) <= FRAME_RUNS_MAX
    assert [(one.area, one.box) for one in limited] == [(one.area, one.box) for one in exact]
    assert sum(finding.area for finding in limited) == sum(
        int((mask >> i & 1).sum()) for i in range(4)
    )
    for entry in CLASSES:
        covered = np.zeros(SHAPE, bool)
        for finding in limited:
            if finding.defect_class is entry:
                covered |= decode_severstal(encode_severstal(finding.runs), SHAPE) > 0
        assert covered[(mask & entry.bit) > 0].all()
    assert {finding.mask_block_px for finding in limited} != {1}


def test_a_frame_of_lines_across_the_strip_has_bounded_masks() -> None:
    """Every line has a run in each column: only blocks as high as the frame are short enough."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[::2] = 15
    limited = limit_masks(findings_of(mask))
    assert sum(len(finding.runs.starts) for finding in limited) <= FRAME_RUNS_MAX
    for finding in limited:
        x, y, width, height = finding.box
        covered = decode_severstal(encode_severstal(finding.runs), SHAPE)
        assert covered[y : y + height : 2, x : x + width].all()


def test_the_masks_of_ordinary_frames_stay_exact() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:60, 100:900] = 1
    mask[::2, 1000:1010] |= 4
    exact = findings_of(mask)
    assert limit_masks(exact) == exact
    assert {finding.mask_block_px for finding in exact} == {1}


@pytest.mark.parametrize("block_px", [2, 4, 64, 1024])
@pytest.mark.parametrize("shape", [(8, 32), (7, 33), (256, 100)])
def test_a_block_is_set_where_any_of_its_pixels_is(shape: tuple[int, int], block_px: int) -> None:
    mask = (np.random.default_rng(3).random(shape) < 0.01).astype(np.uint8)
    mask[:, 5:8] = 1  # whole columns: a run that goes on over their ends
    coarse = decode_severstal(encode_severstal(coarsen(runs_of_mask(mask), block_px)), shape)
    for top in range(0, shape[0], block_px):
        for left in range(0, shape[1], block_px):
            block = (slice(top, top + block_px), slice(left, left + block_px))
            assert coarse[block].all() if mask[block].any() else not coarse[block].any()
