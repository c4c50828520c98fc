"""What is measured in a frame, against the daemon and against counting by hand."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.train.tiny_models import Bytes, masked

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.inspect.defects import classes_of_frame, find_defects, raise_min_areas
from stripwatch_train.evaluation.engine_runner import Prediction
from stripwatch_train.evaluation.score_settings import GRID, ScoreSettings, level_of
from stripwatch_train.evaluation.scores import score_frame

Mask = NDArray[np.bool_]
SHAPE = (20, 36)


def blobs(generator: np.random.Generator, classes: int = 2) -> Bytes:
    """Smooth noise: components of all sizes at all thresholds; [classes, lines, pixels]."""
    rough = generator.normal(size=(classes, *SHAPE))
    for axis in (1, 2):
        for _ in range(2):
            rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
    rough -= rough.min()
    prob: Bytes = (rough / rough.max() * generator.uniform(80, 255)).astype(np.uint8)
    return prob


def pieces_of(mask: Mask) -> list[Mask]:
    """8-connected components, by walking from pixel to pixel."""
    left = mask.copy()
    found = []
    for start in zip(*np.nonzero(mask), strict=True):
        if not left[start]:
            continue
        component = np.zeros_like(mask)
        queue = deque([start])
        left[start] = False
        while queue:
            line, pixel = queue.popleft()
            component[line, pixel] = True
            for y in range(max(line - 1, 0), min(line + 2, mask.shape[0])):
                for x in range(max(pixel - 1, 0), min(pixel + 2, mask.shape[1])):
                    if left[y, x]:
                        left[y, x] = False
                        queue.append((y, x))
        found.append(component)
    return found


def clean(prob: Bytes) -> Prediction:
    return Prediction(prob, np.zeros(len(prob), np.bool_))


def test_a_byte_reaches_a_level_when_it_reaches_the_threshold() -> None:
    """For every byte and every threshold of the grid."""
    for threshold in (*GRID, 0.37, 0.001, 0.999):
        level = level_of(threshold)
        assert 1 <= level <= 255
        for byte in range(256):
            assert (byte >= level) == (byte / 255 >= threshold - 1e-12), (byte, threshold)


@pytest.mark.parametrize("seed", range(4))
def test_components_and_hits_are_those_that_counting_gives(seed: int) -> None:
    """For each class, threshold and component; random frames."""
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    prob = blobs(generator)
    truth = (generator.random(SHAPE) < 0.3).astype(np.uint8)
    truth |= (blobs(generator, 1)[0] > 150).astype(np.uint8) << np.uint8(1)
    classes = (
        DefectClass(id=1, name="a", threshold=0.33, min_area_px=6),
        DefectClass(id=2, name="b", threshold=0.6, min_area_px=0),
    )
    settings = ScoreSettings(classes)
    scores = score_frame(clean(prob), truth, settings)
    assert settings.thresholds[0] == tuple(sorted([*GRID, 0.33]))
    assert settings.thresholds[1] == GRID
    for index, entry in enumerate(classes):
        true = (truth >> index & 1) > 0
        measured = scores.classes[index]
        true_pieces = pieces_of(true)
        assert measured.true_px == true.sum()
        assert measured.peak == prob[index].max()
        assert sorted(measured.true_areas) == sorted(component.sum() for component in true_pieces)
        for step, threshold in enumerate(settings.thresholds[index]):
            components = pieces_of(prob[index] >= threshold * 255 - 1e-9)
            wanted = sorted(
                (
                    int(component.sum()),
                    int((component & true).sum()),
                    bool(10 * (component & true).sum() >= component.sum()),
                )
                for component in components
            )
            rows = measured.components[measured.components[:, 0] == step]
            assert rows[:, 2].sum() == len(wanted)
            for area in {row[0] for row in wanted}:
                same = [row for row in wanted if row[0] == area]
                (row,) = rows[rows[:, 1] == area].tolist()
                hits, right = sum(row[1] for row in same), sum(row[2] for row in same)
                assert row == [step, area, len(same), hits, right]
            kept = np.zeros(SHAPE, np.bool_)
            for component in components:
                if component.sum() >= max(entry.min_area_px, 1):
                    kept |= component
            found = sum(
                10 * (component & kept).sum() >= component.sum() for component in true_pieces
            )
            assert measured.true_found[step] == found
            if threshold == entry.threshold:
                assert np.array_equal((scores.found >> index & 1) > 0, kept)
                assert measured.found_px == kept.sum()
                assert measured.wrong_px == (kept ^ true).sum()
        bins = [int((prob[index] == level).sum()) for level in range(256)]
        assert measured.level_px.tolist() == bins
        assert measured.level_true_px.sum() == true.sum()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["none", "soft"])
def test_what_is_found_is_what_the_daemon_reports(seed: int, mode: str) -> None:
    """Pixel by pixel, also where a gate raises minimum areas."""
    print(f"seed {seed}")
    generator = np.random.default_rng(100 + seed)
    prob = blobs(generator, 3)
    classes = tuple(
        DefectClass(id=number, name=f"k{number}", threshold=0.2 * number, min_area_px=4 * number)
        for number in (1, 2, 3)
    )
    gate = Gate(mode="soft", gate_threshold=0.5, min_area_factor=2.5) if mode == "soft" else None
    absent = np.array([mode == "soft", False, mode == "soft"])
    scores = score_frame(
        Prediction(prob, absent), np.zeros(SHAPE, np.uint8), ScoreSettings(classes, gate)
    )
    bits = [(prob[index] >= level_of(entry.threshold)) for index, entry in enumerate(classes)]
    mask = sum(plane.astype(np.uint8) << np.uint8(index) for index, plane in enumerate(bits))
    in_frame = classes_of_frame(classes, raise_min_areas(classes, gate), absent.astype(np.uint8))
    area = np.array([plane.sum() for plane in bits], np.float32)
    wanted = np.zeros(SHAPE, np.uint8)
    reported = find_defects(np.asarray(mask, np.uint8), prob, area, in_frame, 1000)
    for finding in reported:
        flat = np.zeros(SHAPE[0] * SHAPE[1], np.uint8)
        for start, length in zip(finding.runs.starts, finding.runs.lengths, strict=True):
            flat[start : start + length] = 1 << (finding.defect_class.id - 1)
        wanted |= flat.reshape(SHAPE[1], SHAPE[0]).T
    assert reported
    assert np.array_equal(scores.found, wanted)


@pytest.mark.parametrize(("hit", "right"), [(2, 1), (1, 0), (0, 0)])
def test_a_found_component_is_right_when_a_tenth_of_it_is_true(hit: int, right: int) -> None:
    """Of 20 pixels two are enough, one is not; the true component below is large."""
    prob = np.zeros((1, *SHAPE), np.uint8)
    prob[0, 5, 5:25] = 255
    truth = masked(SHAPE, (5, 5, hit, 9, 1))
    scores = score_frame(clean(prob), truth, ScoreSettings((DefectClass(id=1, name="a"),)))
    assert set(scores.classes[0].components[:, 4].tolist()) == {right}


@pytest.mark.parametrize(("covered", "found"), [(2, 1), (1, 0), (0, 0)])
def test_a_true_component_is_found_when_a_tenth_of_it_is_covered(covered: int, found: int) -> None:
    """By what is left after the minimum area: a speck of its own finds nothing."""
    prob = np.zeros((1, *SHAPE), np.uint8)
    prob[0, 5:15, 5 : 5 + covered] = 255
    prob[0, 5, 15] = 255  # a speck on the true component, below the minimum area
    truth = masked(SHAPE, (5, 5, 20, 1, 1))
    entry = DefectClass(id=1, name="a", min_area_px=5)
    scores = score_frame(clean(prob), truth, ScoreSettings((entry,)))
    assert set(scores.classes[0].true_found.tolist()) == {found}


def test_confusion_takes_the_most_probable_class_that_reaches_its_threshold() -> None:
    """And the background where none does; by hand, pixel by pixel."""
    prob = np.array([[[100, 200, 130, 0]], [[120, 190, 170, 255]]], np.uint8)
    truth = np.array([[0, 1, 2, 3]], np.uint8)
    classes = tuple(
        DefectClass(id=number, name=f"k{number}", threshold=threshold)
        for number, threshold in ((1, 0.5), (2, 0.7))
    )
    scores = score_frame(clean(prob), truth, ScoreSettings(classes))
    # Steel as steel; 1 as 1; 2 is more probable but below its threshold, 1 is not; 1 and 2
    # overlap, 2 is found.
    assert scores.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_confusion_of_softmax_takes_the_largest_of_all() -> None:
    """The background is what is left, and wins where it is as large."""
    prob = np.array([[[100, 90, 127, 60]], [[60, 90, 0, 110]]], np.uint8)
    truth = np.array([[1, 0, 1, 3]], np.uint8)
    classes = tuple(DefectClass(id=number, name=f"k{number}", threshold=0.9) for number in (1, 2))
    scores = score_frame(clean(prob), truth, ScoreSettings(classes, has_background=True))
    by_hand = np.zeros((3, 3), int)
    by_hand[1, 1] = 1  # 95 of background, 100 of class 1
    by_hand[0, 1] = 1  # 75 of background, 90 and 90: the first
    by_hand[1, 0] = 1  # 128 of background, 127
    by_hand[2, 2] = 1  # 85 of background, 60 and 110; truth has both, and 2 is found
    assert scores.confusion.tolist() == by_hand.tolist()


def test_noise_is_kept_in_few_rows() -> None:
    """One for each area that occurs, however many components there are."""
    prob = np.random.default_rng(5).integers(0, 256, (1, 256, 400), np.uint8)
    scores = score_frame(
        clean(prob), np.zeros((256, 400), np.uint8), ScoreSettings((DefectClass(id=1, name="a"),))
    )
    rows = scores.classes[0].components
    components = rows[rows[:, 0] == len(GRID) - 1][:, 2].sum()
    assert components > 3000
    assert len(rows) < 100 * len(GRID)


def test_a_frame_without_anything_has_a_dice_of_one() -> None:
    """And no rows; one with a defect that was missed has half of it, of two classes."""
    classes = (DefectClass(id=1, name="a"), DefectClass(id=2, name="b"))
    prob = np.zeros((2, *SHAPE), np.uint8)
    nothing = score_frame(clean(prob), np.zeros(SHAPE, np.uint8), ScoreSettings(classes))
    assert nothing.dice == 1
    assert nothing.wrong_px == 0
    assert all(len(entry.components) == 0 for entry in nothing.classes)
    missed = score_frame(clean(prob), masked(SHAPE, (3, 3, 4, 4, 2)), ScoreSettings(classes))
    assert missed.dice == 0.5
    assert missed.wrong_px == 16
