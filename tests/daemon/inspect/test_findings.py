"""Findings by whole arrays against OpenCV, one component after the other: the same bits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.daemon.inspect.reference import find_defects_one_by_one

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.findings import Finding, Segmentation, find_defects_of_frames

SIDE_MAX = 48
SLOTS = 100  # of each seed, with up to four frames each

Mask = NDArray[np.uint8]


def random_mask(random: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Up to eight classes of noise, blocks, whole columns, empty lines, nothing, or everything."""
    mask = np.zeros(shape, np.uint8)
    for bit in range(8):
        density = random.choice([0, 0, 0.02, 0.05, 0.3, 0.5, 0.7, 0.95, 1])
        plane = random.random(shape) < density
        if random.random() < 0.5:  # blocks with straight borders and corners that touch
            coarse = random.random((shape[0] // 4 + 1, shape[1] // 4 + 1)) < density
            plane = coarse.repeat(4, axis=0).repeat(4, axis=1)[: shape[0], : shape[1]]
        if random.random() < 0.3:
            plane[:, random.integers(shape[1])] = True
        if random.random() < 0.3:
            plane[random.integers(shape[0])] = False
        mask |= plane.astype(np.uint8) << bit
    return mask


def random_frame(
    random: np.random.Generator, width: int, classes: tuple[DefectClass, ...]
) -> Segmentation:
    """A frame as an engine would see it; now and then the engine claims more than there is."""
    mask = random_mask(random, (int(random.integers(1, SIDE_MAX)), width))
    prob = random.integers(0, 256, (len(classes), *mask.shape), np.uint8)
    area = np.array([np.count_nonzero(mask & entry.bit) for entry in classes], np.float32)
    if random.random() < 0.1:
        area[:] = 1e6
    return Segmentation(mask, prob * (random.random() < 0.9), area, classes)


def all_of(finding: Finding) -> tuple[object, ...]:
    """Every field of a finding, comparable by bits."""
    runs = finding.runs
    return (
        finding.defect_class,
        finding.box,
        finding.area,
        finding.centroid,
        finding.score,
        finding.peak,
        (runs.starts.tolist(), runs.lengths.tolist(), runs.starts.dtype, runs.lengths.dtype),
        runs.shape,
        finding.top,
        finding.bottom,
        finding.mask_block_px,
    )


@pytest.mark.parametrize("seed", range(20))
def test_findings_of_many_frames_have_the_bits_of_opencv(seed: int) -> None:
    """Order, boxes, areas, centroids, scores, peaks, runs and seams, with and without a limit."""
    random = np.random.default_rng(seed)
    cv2.setNumThreads(1)
    for _ in range(SLOTS):
        width = int(random.integers(1, SIDE_MAX))
        classes = tuple(
            DefectClass(id=number + 1, name=f"c{number}", min_area_px=int(random.choice([0, 3, 8])))
            for number in range(int(random.integers(1, 9)))
        )
        frames = [random_frame(random, width, classes) for _ in range(int(random.integers(1, 5)))]
        defects_max = int(random.choice([1, 2, 5, 100]))
        found = find_defects_of_frames(frames, defects_max)
        expected = [find_defects_one_by_one(frame, defects_max) for frame in frames]
        assert [list(map(all_of, one)) for one in found] == [
            list(map(all_of, one)) for one in expected
        ]


@pytest.mark.parametrize("density", [0.02, 0.3, 0.6])
def test_a_whole_frame_of_noise_has_the_bits_of_opencv(density: float) -> None:
    """Hundreds of thousands of runs, of which most end in the finding that stands for the rest."""
    random = np.random.default_rng(5)
    classes = tuple(DefectClass(id=number, name=f"c{number}") for number in (1, 2))
    mask = (random.random((256, 1600)) < density).astype(np.uint8)
    mask |= (random.random((256, 1600)) < density).astype(np.uint8) << 1
    prob = random.integers(0, 256, (2, *mask.shape), np.uint8)
    frame = Segmentation(mask, prob, np.full(2, 1e5, np.float32), classes)
    (found,) = find_defects_of_frames([frame], 100)
    assert list(map(all_of, found)) == list(map(all_of, find_defects_one_by_one(frame, 100)))
