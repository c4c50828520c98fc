"""How soon roll marks are found, and how rarely where there are none.

Defects are points on a strip, without images. A method published earlier runs over the same strips:
the autocorrelation of each eighth of the width (JP-A-58-156842, EP0594220).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.periodic.followed import RollMark as Mark
from stripwatch.inspect.periodic.side import Limits, Side, State
from stripwatch.lab.bench.autocorrelation import Alarm, alarms_of_slices
from stripwatch.lab.bench.figures import Figures
from stripwatch.synthetic import RollMark

Places = NDArray[np.float64]  # [defects, 2]: mm along and across, by the first

WIDTH_MM = 1000.0
FRAME_MM = 128.0
LIMITS = Limits((300.0, 4000.0), 20.0)
PER_M = (0.5, 2.0, 10.0)  # defects at random places
CLEAN_MM, CLEAN_STRIPS = 2e6, 6
MARKED_MM, MARKED_STRIPS, FIRST_MM = 5e5, 20, 1e5
MARKS = ((1885.0, 0.9), (1885.0, 0.6), (1885.0, 0.4), (628.0, 0.6))  # period, share visible
SAME = 0.01  # share by which a period may be off: no multiple, no part
COST_US = 50.0  # goal at 2 defects a metre


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a roll mark."""

    state: State
    at_mm: float  # how far the strip was inspected
    period_mm: float
    lane_mm: float
    first_mm: float
    last_mm: float
    teeth: int
    missed: int


def strip_places(
    seed: Sequence[int], per_m: float, length_mm: float, marks: Sequence[RollMark] = ()
) -> Places:
    """Defects at random places, and the teeth of roll marks, whose lines and pixels are mm."""
    random = np.random.default_rng(seed)
    count = random.poisson(per_m * length_mm / 1000)
    background = random.uniform((0, 0), (length_mm, WIDTH_MM), (count, 2))
    teeth = [
        np.array(list(mark.teeth((*seed, number), 0, length_mm))).reshape(-1, 2)
        for number, mark in enumerate(marks)
    ]
    places = np.concatenate([background, *teeth])
    return places[np.argsort(places[:, 0])]


def watch(
    places: Places,
    length_mm: float,
    gaps: Sequence[tuple[float, float]] = (),
    limits: Limits = LIMITS,
) -> tuple[list[Told], float]:
    """What is told of a strip, and the processor time of a defect in microseconds.

    The time includes what its frame costs, as far as there is a defect in it.

    Args:
        places: of its defects.
        length_mm: of the strip.
        gaps: where it was not inspected, by whole frames; defects there are not seen.
        limits: what is looked for.
    """
    side, told, index, spent_s = Side(limits), [], 0, 0.0
    defects = places.tolist()
    for first_mm in np.arange(0, length_mm, FRAME_MM).tolist():
        end_mm = first_mm + FRAME_MM
        here = index
        while index < len(defects) and defects[index][0] < end_mm:
            index += 1
        if any(start < end_mm and first_mm < end for start, end in gaps):
            continue
        started_s = time.thread_time()
        side.inspected("a", (0.0, WIDTH_MM), (first_mm, end_mm))
        changes = [change for place in defects[here:index] for change in side.defect(*place)]
        changes += side.advance()
        if index > here:
            spent_s += time.thread_time() - started_s
        told += [_told(state, mark, end_mm) for state, mark in changes]
    told += [_told(state, mark, length_mm) for state, mark in side.close()]
    return told, spent_s * 1e6 / max(len(defects), 1)


def _told(state: State, mark: Mark, at_mm: float) -> Told:
    return Told(
        state,
        at_mm,
        mark.period_mm,
        mark.lane_mm,
        mark.first_mm,
        mark.last_mm,
        mark.teeth,
        mark.missed,
    )


def roll_mark_figures(seed: int) -> Figures:
    """False alarms over 36 km, and how soon marks are found, by both methods."""
    false, other_false, cost_us = 0, 0, {}
    for per_m in PER_M:
        costs = []
        for number in range(CLEAN_STRIPS):
            places = strip_places((seed, number, int(per_m * 10)), per_m, CLEAN_MM)
            told, us = watch(places, CLEAN_MM)
            costs.append(us)
            false += sum(entry.state == "opened" for entry in told)
            other_false += len(_alarms(places, CLEAN_MM))
        cost_us[per_m] = round(statistics.median(costs), 1)
    return {
        "seed": seed,
        "clean_km": len(PER_M) * CLEAN_STRIPS * CLEAN_MM / 1e6,
        "false_alarms": false,
        "false_alarms_autocorrelation": other_false,
        **{f"us_per_defect_at_{per_m:g}_per_m": us for per_m, us in cost_us.items()},
        "modes": [_row(seed, per_m, *mark) for per_m in PER_M for mark in MARKS],
        "goals": [
            _goal("false alarms in 36 km", "0", false, met=false == 0),
            _goal(
                "us per defect at 2/m", f"<= {COST_US:g}", cost_us[2.0], met=cost_us[2.0] <= COST_US
            ),
        ],
    }


def _goal(figure: str, goal: str, measured: object, *, met: bool) -> Figures:
    return {"figure": figure, "goal": goal, "measured": measured, "met": "yes" if met else "no"}


def _row(seed: int, per_m: float, period_mm: float, visible: float) -> Figures:
    """Both methods over the same strips with one mark."""
    mark = RollMark(
        period_mm,
        pixel=400,
        first_line=FIRST_MM,
        visible=visible,
        jitter_lines=1,
        jitter_pixels=2,
        slip=0.0005,
    )
    combs: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    for number in range(MARKED_STRIPS):
        key = (seed, number, int(per_m * 10), int(period_mm), int(visible * 100))
        places = strip_places(key, per_m, MARKED_MM, [mark])
        told, _ = watch(places, MARKED_MM)
        opened = [entry for entry in told if entry.state == "opened"]
        if opened:
            combs.append((opened[0].at_mm, told[-1].period_mm))
        found = _alarms(places, MARKED_MM)
        if found:
            others.append((found[0].at_mm, found[0].period_mm))
    return {
        "per_m": per_m,
        "period_mm": period_mm,
        "visible": visible,
        **_summary("comb", combs, period_mm),
        **_summary("autocorrelation", others, period_mm),
    }


def _summary(name: str, found: list[tuple[float, float]], period_mm: float) -> Figures:
    delays_m = sorted((at_mm - FIRST_MM) / 1000 for at_mm, _ in found)
    right = sum(abs(period / period_mm - 1) <= SAME for _, period in found)
    middle, late = (f"{np.percentile(delays_m, part):.0f}" for part in (50, 90)) if found else "--"
    return {
        f"{name}_found": f"{len(found)}/{MARKED_STRIPS}",
        f"{name}_m_p50": middle,
        f"{name}_m_p90": late,
        f"{name}_period_right": right,
    }


def _alarms(places: Places, length_mm: float) -> list[Alarm]:
    alarms = alarms_of_slices(places, length_mm, WIDTH_MM, LIMITS.period_mm)
    return sorted(alarms, key=lambda alarm: alarm.at_mm)
