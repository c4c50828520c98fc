"""The figures of an evaluation, by hand and by brute force."""

from __future__ import annotations

from itertools import product

import cv2
import msgspec
import numpy as np
import pytest
from tests.train.tiny_models import Bytes, masked, scored

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.metrics import measure
from stripwatch_train.evaluation.score_settings import GRID, ScoreSettings, level_of
from stripwatch_train.evaluation.statistics import auc, calibration_error, iou_of, reliability, roc

SHAPE = (20, 40)
A, B = DefectClass(id=1, name="a"), DefectClass(id=2, name="b", min_area_px=10)
SURE = 255

Frame = tuple[Bytes, Bytes]


def frame(found: tuple[tuple[int, int, int, int, int], ...], true: Bytes) -> Frame:
    """A frame in which boxes (x, y, width, height, bits) are found with certainty."""
    mask = masked(SHAPE, *found)
    prob = np.stack([(mask & 1) * np.uint8(SURE), (mask >> 1 & 1) * np.uint8(SURE)])
    return prob, true


CLEAN = masked(SHAPE)


def test_kaggles_dice_counts_empty_pairs_as_one() -> None:
    """Three frames of two classes, by hand."""
    frames = [
        frame((), CLEAN),  # 1, 1
        frame(((0, 0, 10, 2, 1),), masked(SHAPE, (0, 0, 10, 4, 1))),  # 2 * 20 / 60, 1
        frame(((0, 0, 5, 1, 2), (0, 9, 9, 9, 1)), masked(SHAPE, (20, 0, 5, 5, 2))),  # 0, 0
    ]
    metrics = measure(scored(ScoreSettings((A, B)), frames))
    a, b = metrics.classes
    assert a.kaggle_dice == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert b.kaggle_dice == pytest.approx((1 + 1 + 0) / 3)
    assert metrics.kaggle_dice == pytest.approx((a.kaggle_dice + b.kaggle_dice) / 2)
    assert a.kaggle_dice_of_nothing == pytest.approx(2 / 3)
    assert metrics.kaggle_dice_of_nothing == pytest.approx(2 / 3)
    assert a.dice_of_frames_with == pytest.approx(2 / 3)
    assert b.dice_of_frames_with == 0
    assert a.dice_px == pytest.approx(2 * 20 / (20 + 81 + 40))
    assert a.iou_px == pytest.approx(20 / (81 + 40))
    assert (a.frames_with, a.frames_missed, a.frames_false) == (1, 0, 1)
    assert (b.frames_with, b.frames_missed, b.frames_false) == (1, 1, 0)
    assert (metrics.frames, metrics.frames_with_defects) == (3, 2)
    assert (metrics.frames_missed, metrics.frames_false) == (0, 0)


def test_finding_nothing_scores_its_floor() -> None:
    """Whatever the frames are."""
    frames = [
        (np.zeros((2, *SHAPE), np.uint8), masked(SHAPE, (0, 0, 5, 5, bits)))
        for bits in (0, 1, 2, 3, 0)
    ]
    metrics = measure(scored(ScoreSettings((A, B)), frames))
    assert metrics.kaggle_dice == metrics.kaggle_dice_of_nothing == pytest.approx(0.6)
    assert metrics.frames_missed == 3
    assert metrics.classes[0].precision is None
    assert metrics.classes[0].recall == 0
    assert metrics.iou["a"] == 0


def test_precision_and_recall_count_components() -> None:
    """Two of three true ones are found, two of four found ones are right; specks are dropped."""
    true = masked(SHAPE, (0, 0, 6, 6, 2), (10, 0, 6, 6, 2), (20, 0, 6, 6, 2))
    found = (
        (0, 0, 6, 6, 2),  # on the first
        (10, 0, 6, 2, 2),  # a third of the second
        (30, 0, 6, 6, 2),  # nowhere
        (30, 10, 5, 4, 2),  # nowhere
        (22, 2, 3, 3, 2),  # on the third, but a speck of 9
    )
    metrics = measure(scored(ScoreSettings((A, B)), [frame(found, true), frame((), CLEAN)]))
    b = metrics.classes[1]
    assert (b.defects, b.defects_found) == (3, 2)
    assert b.recall == pytest.approx(2 / 3)
    assert (b.found, b.found_right, b.precision) == (4, 2, 0.5)
    a = metrics.classes[0]
    assert (a.defects, a.recall, a.precision, a.dice_px, a.dice_of_frames_with) == (0, *[None] * 4)


def test_a_gate_raises_the_minimum_area_in_its_frames_only() -> None:
    """By its factor, for the classes that it judges absent."""
    gate = Gate(mode="soft", gate_threshold=0.5, min_area_factor=3.0)
    found = ((0, 0, 5, 5, 2),)  # 25 px: above 10, below 30
    true = masked(SHAPE, (0, 0, 5, 5, 2))
    frames = [frame(found, true)] * 3
    absent = [(False, False), (False, True), (True, False)]
    scores = scored(ScoreSettings((A, B), gate), frames, absent=absent)
    table = ClassTable(scores, 1)
    assert table.own_sums()[0].tolist() == [25, 0, 25]
    assert table.dice(table.own, 8).tolist() == [1, 1, 1]  # 24 in the second
    assert table.dice(table.own, 9).tolist() == [1, 0, 1]  # 27
    assert measure(scores).classes[1].frames_missed == 1


@pytest.mark.parametrize("seed", range(3))
def test_any_threshold_and_minimum_area_gives_what_brute_force_gives(seed: int) -> None:
    """For every pair of them; random frames."""
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    frames = []
    for _ in range(4):
        smooth = cv2.GaussianBlur(generator.random(SHAPE).astype(np.float32), (0, 0), 2)
        smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
        other = generator.integers(0, 256, SHAPE)
        prob = np.stack([smooth * 255, other]).astype(np.uint8)
        frames.append((prob, (smooth > 0.6).astype(np.uint8) * np.uint8(3)))
    scores = scored(ScoreSettings((A, B)), frames)
    for index in range(2):
        table = ClassTable(scores, index)
        for step, least in product(range(0, len(GRID), 3), (0, 1, 2, 9, 30)):
            wanted = [
                _dice(prob[index], mask >> index & 1, GRID[step], least) for prob, mask in frames
            ]
            assert table.dice(step, least) == pytest.approx(wanted)


def _dice(plane: Bytes, true: Bytes, threshold: float, least: int) -> float:
    there = (plane >= level_of(threshold)).astype(np.uint8)
    count, labels = cv2.connectedComponents(there, connectivity=8)
    for label in range(1, count):
        if (labels == label).sum() < least:
            there[labels == label] = 0
    total = int(there.sum()) + int(true.sum())
    return 2 * int((there & true).sum()) / total if total else 1.0


def test_the_order_of_frames_and_their_folds_change_nothing() -> None:
    """Everything is a sum."""
    generator = np.random.default_rng(1)
    frames = [
        (
            generator.integers(0, 256, (2, *SHAPE), np.uint8),
            generator.integers(0, 4, SHAPE, np.uint8),
        )
        for _ in range(4)
    ]
    once = measure(scored(ScoreSettings((A, B)), frames))
    again = measure(scored(ScoreSettings((A, B)), frames[::-1], folds=[1, 0, 2, 1]))
    assert once.confusion_px == again.confusion_px
    assert once.iou == again.iou
    for name in ("kaggle_dice", "miou", "auc_peak", "auc_area", "frames_missed", "frames_false"):
        assert getattr(once, name) == pytest.approx(getattr(again, name))
    for one, other in zip(once.classes, again.classes, strict=True):
        assert msgspec.to_builtins(one) == pytest.approx(msgspec.to_builtins(other))


def test_iou_leaves_out_classes_that_are_nowhere() -> None:
    """Neither true nor found: no number, and no part of the mean."""
    confusion = np.array([[90, 5, 0], [5, 10, 0], [0, 0, 0]])
    iou = iou_of(confusion)
    assert iou[:2] == pytest.approx([0.9, 0.5])
    assert np.isnan(iou[2])
    metrics = measure(
        scored(ScoreSettings((A, B)), [frame(((0, 0, 5, 4, 1),), masked(SHAPE, (0, 0, 5, 4, 1)))])
    )
    assert metrics.miou == 1
    assert metrics.iou == {"background": 1, "a": 1, "b": None}
    assert metrics.confusion_px == [[780, 0, 0], [0, 20, 0], [0, 0, 0]]
    assert metrics.confusion_by == "threshold"


@pytest.mark.parametrize("seed", range(5))
def test_the_area_below_the_curve_is_the_share_of_pairs_in_order(seed: int) -> None:
    """Ties count half; scores of few values have many."""
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    there = generator.random(60) < 0.3
    values = generator.integers(0, 12, 60) + 3 * there
    curve = roc(values, there)
    assert curve is not None
    assert (curve.false[0], curve.true[0], curve.false[-1], curve.true[-1]) == (0, 0, 1, 1)
    pairs = [
        (high > low) + 0.5 * (high == low)
        for high, low in product(values[there].tolist(), values[~there].tolist())
    ]
    assert auc(curve) == pytest.approx(np.mean(pairs))


def test_a_curve_needs_frames_of_both_kinds() -> None:
    """With one kind there is none."""
    for there in (np.zeros(3, np.bool_), np.ones(3, np.bool_)):
        assert auc(roc(np.arange(3), there)) is None
    perfect = roc(np.array([5, 1, 4, 0]), np.array([True, False, True, False]))
    assert auc(perfect) == 1


def test_calibration_error_is_the_distance_of_probability_and_frequency() -> None:
    """100 pixels at 0.8 of which 60 are true, and 900 at 0 of which none is."""
    px, true = np.zeros(256, np.int64), np.zeros(256, np.int64)
    px[0], px[204], true[204] = 900, 100, 60
    found = reliability(px, true)
    assert found.px.tolist() == [900, 0, 0, 0, 0, 0, 0, 0, 100, 0]
    assert found.predicted[8] == pytest.approx(0.8)
    assert found.observed[8] == pytest.approx(0.6)
    assert np.isnan(found.predicted[3])
    assert calibration_error(px, true) == pytest.approx(0.02)
    assert calibration_error(px, true, 0.05) == pytest.approx(0.2)
    assert calibration_error(np.zeros(256, np.int64), true * 0) is None
    px[204], true[204] = 100, 80
    assert calibration_error(px, true) == pytest.approx(0)


def test_figures_of_noise_and_of_no_defects_can_be_said() -> None:
    """Nothing divides by zero; what cannot be said is None, and JSON has null."""
    metrics = measure(scored(ScoreSettings((A, B)), [frame((), CLEAN)] * 2))
    assert metrics.kaggle_dice == 1
    assert metrics.auc_peak is None
    assert metrics.miou == 1
    read = msgspec.json.decode(msgspec.json.encode(metrics))
    assert read["classes"][0]["recall"] is None
    assert read["iou"] == {"background": 1, "a": None, "b": None}
