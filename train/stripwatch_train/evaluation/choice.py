"""Choice of a class's threshold and minimum area for an aim.

**Dice** aims at the highest mean Dice, as Kaggle counts it: a frame without the class in which
nothing is found counts 1, so that finding nothing at all scores high.

**Recall** aims at the most frames in which a defect is found at its place, with a limit on false
alarms. A false alarm is a found component of which less than a tenth is true (see `scores`).

A setting at which none of the labelled defects is found is never chosen, whatever it scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.scores import Counts
from stripwatch_train.evaluation.sweep import TOLERANCE, Point, Sweep, preference, sweep

FRAMES = 1000  # that false alarms are counted on
MM_PER_KM = 1_000_000

Frames = NDArray[np.bool_]  # [frames]: those that count


@dataclass(frozen=True)
class Aim:
    """Aim of tuning: the mean Dice, or recall with a limit on false alarms."""

    false_alarms_max: float | None = None  # of each class; None = the aim is the mean Dice
    line_mm: float | None = None  # length of a scan line: count by km; None = by 1,000 frames

    def rate(self, false_alarms: int, frames: int, lines: int) -> float:
        """False alarms on 1,000 frames, or on a km of strip."""
        if self.line_mm is None:
            return false_alarms * FRAMES / frames
        return false_alarms * MM_PER_KM / (lines * self.line_mm)

    @property
    def unit(self) -> str:
        """The unit of `rate`."""
        return "1,000 frames" if self.line_mm is None else "km"


@dataclass(frozen=True)
class Outcome:
    """Result of a setting on some frames."""

    frames_with: int  # that have the class
    frames_found: int  # of these: a defect is found at its place
    false_alarms: int  # found components that are not right


@dataclass(frozen=True)
class Choice:
    """A class's settings before and after; `sweep.best` is the chosen one."""

    sweep: Sweep
    before: Outcome
    after: Outcome
    remark: str = ""  # a sentence for the user, or ""


def choose(table: ClassTable, aim: Aim, frames: Frames | None = None) -> Choice:
    """Choose the settings of a class.

    The present settings are kept where no frame has the class, where no allowed setting finds any
    of its defects, and where they are as good as the best.

    Args:
        table: of the class.
        aim: of the choice.
        frames: bool [frames], those that count; None = all.
    """
    kept = np.ones(len(table.true_px), np.bool_) if frames is None else frames
    swept = sweep(table, kept)
    gate = table.scores.settings.gate
    outcomes = [
        [outcome_of(table, step, area, kept) for area in swept.areas_px]
        for step in range(len(swept.thresholds))
    ]
    found = np.array([[entry.frames_found for entry in row] for row in outcomes])
    false = np.array([[entry.false_alarms for entry in row] for row in outcomes])
    own = (table.own, swept.areas_px.index(swept.own.min_area_px))
    allowed = found > 0
    if gate is not None and gate.mode == "soft":  # a multiple of 0 is 0: the gate would do nothing
        allowed[:, [area == 0 for area in swept.areas_px]] = False
    remark = _nothing_to_choose(outcomes[own[0]][own[1]], allowed)
    if not remark and aim.false_alarms_max is not None:
        lines = int(np.array(table.scores.lines)[kept].sum())
        count = int(kept.sum())
        rates = np.vectorize(lambda number: aim.rate(int(number), count, lines), [float])(false)
        allowed &= rates <= aim.false_alarms_max
        if not allowed.any():
            remark = (
                f"no setting that finds any of its defects has at most {aim.false_alarms_max:g} "
                f"false alarms per {aim.unit}; its settings are kept"
            )
    place = own if remark else _best(swept, own, allowed, found, false, aim)
    chosen = _point(swept, *place)
    before, after = outcomes[own[0]][own[1]], outcomes[place[0]][place[1]]
    remark = remark or _remark(swept, chosen, before, after, floor=_floor(table, kept))
    return Choice(replace(swept, best=chosen), before, after, remark)


def outcome_of(table: ClassTable, step: int, min_area_px: int, frames: Frames) -> Outcome:
    """The result of a setting on some frames."""
    right, wrong = table.outcomes(step, min_area_px)
    has = (table.true_px > 0) & frames
    return Outcome(int(has.sum()), int((has & (right > 0)).sum()), int(wrong[frames].sum()))


def _nothing_to_choose(own: Outcome, allowed: NDArray[np.bool_]) -> str:
    if not own.frames_with:
        return "no frame is labelled with it; its settings are kept"
    if not allowed.any():
        return "none of its defects is found at any setting; its settings are kept: train it longer"
    return ""


def _best(
    swept: Sweep,
    own: tuple[int, int],
    allowed: NDArray[np.bool_],
    found: Counts,
    false: Counts,
    aim: Aim,
) -> tuple[int, int]:
    """Place of the best setting among those that are allowed."""
    if aim.false_alarms_max is None:
        best = swept.dice[allowed].max()
        equal = allowed & (swept.dice >= best - TOLERANCE)
        if swept.own.dice >= best - TOLERANCE and (
            allowed[own] or (not found[own] and swept.own.dice > best)
        ):
            return own
    else:
        equal = allowed & (found == found[allowed].max())
        if equal[own]:
            return own
        best = swept.dice[equal].max()
        equal &= swept.dice >= best - TOLERANCE
        equal &= false == false[equal].min()
    places = [(step, area) for step, area in np.argwhere(equal).tolist()]
    return min(places, key=lambda place: preference(_point(swept, *place)))


def _point(swept: Sweep, step: int, place: int) -> Point:
    return Point(swept.thresholds[step], swept.areas_px[place], float(swept.dice[step, place]))


def _floor(table: ClassTable, frames: Frames) -> float:
    """Mean Dice of finding nothing."""
    return float((table.true_px[frames] == 0).mean())


def _remark(swept: Sweep, chosen: Point, before: Outcome, after: Outcome, floor: float) -> str:
    words = []
    if after.frames_found < before.frames_found:
        words.append(
            f"found in {after.frames_found} of its {after.frames_with} frames, "
            f"{before.frames_found} before"
        )
    if not after.frames_found:
        words.append("nothing of it is found at these settings")
    if chosen.dice <= floor:
        words.append(f"its mean Dice is not above that of finding nothing, {floor:.4f}")
    elif swept.dice.max() > chosen.dice + TOLERANCE and floor >= swept.dice.max() - TOLERANCE:
        words.append(f"finding nothing would score {floor:.4f}")
    return "; ".join(words)
