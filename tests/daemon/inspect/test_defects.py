"""From masks to findings, against a slow and obvious reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.inspect.defects import classes_of_frame, find_defects, raise_min_areas
from stripwatch.inspect.findings import Finding
from stripwatch.wire.rle import decode_severstal, encode_severstal

CLASSES = tuple(
    DefectClass(id=index, name=f"kind{index}", min_area_px=area)
    for index, area in ((1, 1), (2, 3), (3, 8), (4, 0))
)
Mask = NDArray[np.uint8]


def reference(plane: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """8-connected components by flood fill; (line, pixel) pairs."""
    left = {(int(y), int(x)) for y, x in np.argwhere(plane)}
    components = []
    while left:
        component, border = set(), [left.pop()]
        while border:
            y, x = border.pop()
            component.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border += near
        components.append(component)
    return components


def inspect(mask: Mask, prob: Mask | None = None, defects_max: int = 1000) -> list[Finding]:
    if prob is None:
        prob = np.full((4, *mask.shape), 200, np.uint8)
    area = np.array([np.count_nonzero(mask >> c & 1) for c in range(4)], np.float32)
    return find_defects(mask, prob, area, CLASSES, defects_max)


def pixels_of(finding: Finding) -> set[tuple[int, int]]:
    plane = decode_severstal(encode_severstal(finding.runs), finding.runs.shape)
    return {(int(y), int(x)) for y, x in np.argwhere(plane)}


@pytest.mark.parametrize("seed", range(30))
def test_findings_are_the_components_of_a_flood_fill(seed: int) -> None:
    """Every component of at least the minimum area, and its box, area, centroid and score."""
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(1, 24, 2))
    mask = np.zeros(shape, np.uint8)
    for bit in range(4):
        density = generator.choice([0, 0.05, 0.3, 0.6, 1])
        mask |= (generator.random(shape) < density).astype(np.uint8) << bit
    prob = generator.integers(0, 256, (4, *shape), np.uint8)
    findings = inspect(mask, prob)
    for entry in CLASSES:
        own = [finding for finding in findings if finding.defect_class == entry]
        expected = [
            component
            for component in reference((mask >> (entry.id - 1) & 1).astype(bool))
            if len(component) >= entry.min_area_px
        ]
        assert sorted(map(sorted, map(pixels_of, own))) == sorted(map(sorted, expected))
        for finding in own:
            ys, xs = np.array(sorted(pixels_of(finding))).T
            values = prob[entry.id - 1][ys, xs]
            assert finding.area == len(ys)
            assert finding.box == (
                xs.min(),
                ys.min(),
                xs.max() - xs.min() + 1,
                ys.max() - ys.min() + 1,
            )
            assert finding.centroid == pytest.approx((xs.mean(), ys.mean()))
            assert finding.score == pytest.approx(values.mean() / 255)
            assert finding.peak == pytest.approx(values.max() / 255)
            assert {x for a, b in finding.top for x in range(a, b)} == set(xs[ys == 0])
            last = xs[ys == shape[0] - 1]
            assert {x for a, b in finding.bottom for x in range(a, b)} == set(last)


def test_a_clean_frame_has_no_findings() -> None:
    """Nothing is looked at when the engine says that nothing is there."""
    undefined = np.full((8, 8), 255, np.uint8)
    assert find_defects(undefined, undefined[None], np.zeros(4, np.float32), CLASSES, 10) == []


@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_limit_the_smallest_become_one_and_no_pixel_is_lost(seed: int) -> None:
    """A frame of noise gives `defects_max` findings that cover the whole mask."""
    generator = np.random.default_rng(seed)
    mask = (generator.random((40, 60)) < 0.15).astype(np.uint8)
    findings = inspect(mask, defects_max=7)
    assert len(findings) == 7
    pixels = [pixels_of(finding) for finding in findings]
    assert sum(map(len, pixels)) == np.count_nonzero(mask)
    assert set().union(*pixels) == {(int(y), int(x)) for y, x in np.argwhere(mask)}
    sizes = sorted((len(component) for component in reference(mask.astype(bool))), reverse=True)
    assert sorted((finding.area for finding in findings[:-1]), reverse=True) == sizes[:6]
    assert findings[-1].area == sum(sizes[6:])


@pytest.mark.parametrize(
    ("area", "factor", "raised"),
    [(600, 5, 3000), (600, 1.1, 660), (7, 1.5, 11), (0, 5, 5), (1, 1, 1), (3, 1.0000001, 3)],
)
def test_a_soft_gate_multiplies_minimum_areas_and_rounds_them_up(
    area: int, factor: float, raised: int
) -> None:
    """No minimum counts as one pixel; what floats add to a whole number does not count."""
    entry = DefectClass(id=1, name="pits", threshold=0.7, min_area_px=area)
    (found,) = raise_min_areas([entry], Gate(mode="soft", min_area_factor=factor))
    assert found == DefectClass(id=1, name="pits", threshold=0.7, min_area_px=raised)


def test_only_classes_judged_absent_have_their_minimum_area_raised() -> None:
    """And a frame with every class, or an engine without soft gate, changes nothing at all."""
    absent = np.array([0, 1, 0, 1], np.uint8)
    raised = raise_min_areas(CLASSES, Gate(mode="soft", min_area_factor=2))
    areas = [entry.min_area_px for entry in classes_of_frame(CLASSES, raised, absent)]
    assert areas == [1, 6, 8, 2]
    assert classes_of_frame(CLASSES, raised, np.zeros(4, np.uint8)) is CLASSES
    for gate in (None, Gate(mode="skip", gate_threshold=0.5)):
        same = raise_min_areas(CLASSES, gate)
        assert classes_of_frame(CLASSES, same, absent) is CLASSES
