"""The choice of settings: never by switching a class off, and for other aims than Dice."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tests.train.tiny_models import Bytes, masked, scored

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch_train.evaluation.choice import Aim, Choice, choose
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.score_settings import ScoreSettings

SHAPE = (40, 100)
ENTRY = DefectClass(id=1, name="a", threshold=0.5, min_area_px=0)
CLEAN = masked(SHAPE)

Frames = list[tuple[Bytes, Bytes]]


def frame(*boxes: tuple[int, int, int, int, int], true: Bytes = CLEAN) -> tuple[Bytes, Bytes]:
    """A frame with boxes (x, y, width, height, probability * 255)."""
    prob = np.zeros((1, *SHAPE), np.uint8)
    for x, y, width, height, value in boxes:
        prob[0, y : y + height, x : x + width] = value
    return prob, true


def chosen(
    frames: Frames, aim: Aim | None = None, entry: DefectClass = ENTRY, gate: Gate | None = None
) -> Choice:
    scores = scored(ScoreSettings((entry,), gate), frames)
    return choose(ClassTable(scores, 0), aim or Aim())


DEFECT = masked(SHAPE, (0, 0, 10, 10, 1))
# One weak defect in four frames, and stronger false areas of its size in the three others: the
# best mean Dice is that of finding nothing.
HOPELESS = [frame((0, 0, 10, 10, 140), true=DEFECT)] + [frame((20, 0, 10, 10, 200))] * 3


def test_a_class_is_not_switched_off_for_a_higher_dice() -> None:
    """Its settings stay, and it is said that finding nothing would score 0.75."""
    done = chosen(HOPELESS)
    assert done.sweep.own.dice == 0.25
    assert done.sweep.dice.max() == 0.75
    assert done.sweep.best == done.sweep.own
    assert (done.before.frames_found, done.after.frames_found, done.after.frames_with) == (1, 1, 1)
    assert done.remark == "its mean Dice is not above that of finding nothing, 0.7500"


def test_a_class_without_labelled_frames_keeps_its_settings() -> None:
    """Also where another setting would have no false areas."""
    entry = msgspec.structs.replace(ENTRY, min_area_px=30)
    done = chosen([frame((0, 0, 20, 10, 140))], entry=entry)
    assert done.sweep.dice.max() > done.sweep.own.dice
    assert done.sweep.best == done.sweep.own
    assert done.remark == "no frame is labelled with it; its settings are kept"


def test_a_class_that_is_never_found_keeps_its_settings() -> None:
    done = chosen([frame(true=DEFECT), frame()])
    assert done.sweep.best == done.sweep.own
    assert done.remark.startswith("none of its defects is found at any setting")


def test_a_tie_keeps_the_present_settings() -> None:
    """A threshold and an area beside the grid, as good as any."""
    entry = msgspec.structs.replace(ENTRY, threshold=0.62, min_area_px=17)
    done = chosen([frame((0, 0, 10, 10, 255), true=DEFECT), frame()], entry=entry)
    assert (done.sweep.best.threshold, done.sweep.best.min_area_px) == (0.62, 17)
    assert done.remark == ""


def test_a_class_that_is_found_less_often_is_reported() -> None:
    """Two defects, one of them hidden in false areas: 0.85 keeps one and its Dice is higher."""
    frames = [
        frame((0, 0, 10, 10, 140), true=DEFECT),
        frame((0, 0, 10, 10, 230), true=DEFECT),
        *[frame((20, 0, 10, 10, 200))] * 3,
    ]
    done = chosen(frames)
    assert done.sweep.best.threshold == 0.8
    assert done.remark == "found in 1 of its 2 frames, 2 before"


@pytest.mark.parametrize(
    ("limit", "threshold", "found", "false"),
    [(0, 0.8, 1, 0), (499, 0.8, 1, 0), (600, 0.5, 2, 3)],
)
def test_recall_is_the_most_that_the_limit_on_false_alarms_allows(
    limit: float, threshold: float, found: int, false: int
) -> None:
    """Three false areas in five frames are 600 per 1,000."""
    frames = [
        frame((0, 0, 10, 10, 140), true=DEFECT),
        frame((0, 0, 10, 10, 230), true=DEFECT),
        *[frame((20, 0, 10, 10, 200))] * 3,
    ]
    done = chosen(frames, Aim(limit))
    assert done.sweep.best.threshold == threshold
    assert (done.after.frames_found, done.after.false_alarms) == (found, false)


def test_a_limit_on_false_alarms_may_be_by_km() -> None:
    """3 false alarms in 5 frames of 40 lines of 0.5 mm are 3 in 0.1 m: 30,000 per km."""
    aim = Aim(29_999, line_mm=0.5)
    assert aim.rate(3, 5, 200) == 30_000
    frames = [
        frame((0, 0, 10, 10, 140), true=DEFECT),
        frame((0, 0, 10, 10, 230), true=DEFECT),
        *[frame((20, 0, 10, 10, 200))] * 3,
    ]
    assert chosen(frames, aim).after.false_alarms == 0
    assert chosen(frames, Aim(30_000, line_mm=0.5)).after.false_alarms == 3


def test_no_setting_within_the_limit_keeps_the_present_one() -> None:
    done = chosen(HOPELESS, Aim(10))
    assert done.sweep.best == done.sweep.own
    assert "no setting that finds any of its defects has at most 10 false alarms" in done.remark


def test_a_soft_gate_gets_no_minimum_area_of_0() -> None:
    """It multiplies minimum areas: with 0 it would do nothing."""
    gate = Gate(mode="soft", gate_threshold=0.5)
    faint = [frame((0, 0, 10, 10, 90), true=DEFECT), frame()]
    assert chosen(faint, gate=gate).sweep.best.min_area_px == 10
    assert chosen(faint).sweep.best.min_area_px == 0
