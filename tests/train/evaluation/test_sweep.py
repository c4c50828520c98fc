"""The best threshold and minimum area: found, and chosen with care."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tests.train.tiny_models import Bytes, masked, scored

from stripwatch.engines.manifest import DefectClass
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.score_settings import ScoreSettings
from stripwatch_train.evaluation.sweep import AREAS_PX, TOLERANCE, sweep, sweep_all
from stripwatch_train.evaluation.tune import elsewhere

SHAPE = (40, 100)
ENTRY = DefectClass(id=1, name="a", threshold=0.5, min_area_px=0)
CLEAN = masked(SHAPE)

Boxes = tuple[tuple[int, int, int, int, int], ...]


def frame(levels: Boxes, true: Bytes) -> tuple[Bytes, Bytes]:
    """A frame with boxes (x, y, width, height, probability * 255)."""
    prob = np.zeros((1, *SHAPE), np.uint8)
    for x, y, width, height, value in levels:
        prob[0, y : y + height, x : x + width] = value
    return prob, true


def table_of(
    frames: list[tuple[Bytes, Bytes]], entry: DefectClass = ENTRY, folds: tuple[int, ...] = ()
) -> ClassTable:
    return ClassTable(scored(ScoreSettings((entry,)), frames, folds), 0)


def test_the_best_is_where_the_defect_is_and_the_speck_is_not() -> None:
    """A faint defect of 100 px, and specks of 12 px as strong: 0.35 and an area between."""
    defect = masked(SHAPE, (0, 0, 10, 10, 1))
    frames = [
        frame(((0, 0, 10, 10, 90), (40, 0, 4, 3, 90)), defect),
        frame(((40, 0, 4, 3, 90),), CLEAN),
    ]
    swept = sweep(table_of(frames))
    assert (swept.best.threshold, swept.best.min_area_px, swept.best.dice) == (0.35, 20, 1)
    assert swept.own.dice == pytest.approx((0 + 1) / 2)
    assert swept.dice.shape == (len(swept.thresholds), len(swept.areas_px))
    place = swept.areas_px.index(0)
    assert swept.dice[swept.thresholds.index(0.3), place] == pytest.approx((200 / 212 + 0) / 2)


def test_of_equals_the_threshold_nearest_to_a_half_wins_then_the_smaller_area() -> None:
    """Everything finds the strong defect: nothing changes; also without any defect."""
    strong = frame(((0, 0, 10, 10, 255),), masked(SHAPE, (0, 0, 10, 10, 1)))
    for frames in ([strong], [frame((), CLEAN)]):
        best = sweep(table_of(frames)).best
        assert (best.threshold, best.min_area_px, best.dice) == (0.5, 0, 1)
    faint = frame(((0, 0, 10, 10, 100),), masked(SHAPE, (0, 0, 10, 10, 1)))
    assert sweep(table_of([faint])).best.threshold == 0.35  # 0.392 is found up to there
    speck = frame(((0, 0, 6, 4, 204),), CLEAN)
    best = sweep(table_of([speck])).best
    assert (best.threshold, best.min_area_px) == (0.5, 40)  # rather than 0.85 and any area
    false = frame(((0, 0, 40, 10, 140),), CLEAN)
    best = sweep(table_of([false])).best
    assert (best.threshold, best.min_area_px) == (0.55, 0)  # no area of the grid is enough


def test_a_random_gain_moves_nothing() -> None:
    """Within the tolerance a half is as good; a larger gain is worth another threshold."""
    true = masked(SHAPE, (0, 0, 50, 40, 1))
    for missed, moved in ((1, False), (400, True)):
        prob = np.zeros((1, *SHAPE), np.uint8)
        prob[0, :, :50] = 255
        prob[0].ravel()[np.flatnonzero(true.ravel())[:missed]] = 60  # 0.235
        swept = sweep(table_of([(prob, true)]))
        gain = float(swept.dice.max()) - swept.own.dice
        assert gain > 0
        assert (gain > TOLERANCE) == moved
        assert swept.best.threshold == (0.2 if moved else 0.5)
        assert swept.best.dice >= swept.own.dice


def test_what_is_now_is_never_given_up_for_less() -> None:
    """Not even for less than the tolerance, and for a threshold of a half."""
    prob = np.full((1, *SHAPE), 255, np.uint8)
    prob[0, 0, 0] = 60
    table = table_of(
        [(prob, np.ones(SHAPE, np.uint8))], msgspec.structs.replace(ENTRY, threshold=0.2)
    )
    swept = sweep(table)
    half = swept.dice[swept.thresholds.index(0.5), 0]
    assert 1 - TOLERANCE < half < swept.own.dice == 1
    assert swept.best == swept.own


def test_tuning_again_changes_nothing() -> None:
    """Also from a threshold and an area that are not of the grid."""
    generator = np.random.default_rng(3)
    frames = [
        (
            generator.integers(0, 256, (1, *SHAPE), np.uint8),
            generator.integers(0, 2, SHAPE, np.uint8),
        )
        for _ in range(3)
    ]
    entry = DefectClass(id=1, name="a", threshold=0.37, min_area_px=7)
    first = sweep(table_of(frames, entry))
    assert 0.37 in first.thresholds
    assert 7 in first.areas_px
    tuned = msgspec.structs.replace(
        entry, threshold=first.best.threshold, min_area_px=first.best.min_area_px
    )
    second = sweep(table_of(frames, tuned))
    assert second.best == second.own
    assert second.own.dice == first.best.dice


def test_no_area_is_larger_than_a_hundredth_of_a_frame() -> None:
    """Unless it stands in the card."""
    swept = sweep(table_of([frame((), CLEAN)]))
    assert swept.areas_px == tuple(area for area in AREAS_PX if area <= 40)
    entry = msgspec.structs.replace(ENTRY, min_area_px=555)
    assert sweep(table_of([frame((), CLEAN)], entry)).areas_px[-1] == 555


def test_what_tuning_is_worth_elsewhere_is_measured_on_the_fold_that_was_left_out() -> None:
    """Two folds that want opposite thresholds: each gets the other's, and scores nothing."""
    true = masked(SHAPE, (0, 0, 20, 20, 1))
    low = frame(((0, 0, 20, 20, 40), (50, 0, 40, 20, 30)), true)  # 0.15 finds it, 0.10 too much
    high = frame(((0, 0, 20, 20, 250), (50, 0, 40, 20, 230)), true)
    scores = scored(ScoreSettings((ENTRY,)), [low, high], folds=(0, 1))
    table = ClassTable(scores, 0)
    chosen = [sweep(table, np.array(frames)).best for frames in ([True, False], [False, True])]
    assert [point.threshold for point in chosen] == [0.15, 0.95]
    new = elsewhere(scores)
    assert new is not None
    assert new.dice == pytest.approx((0 + 800 / (400 + 1200)) / 2)
    assert sweep_all(scores)[0].best.dice > new.dice
    assert elsewhere(scored(ScoreSettings((ENTRY,)), [low, high])) is None
