"""Roll marks among the defects of a strip: found soon, never where there are none.

Most strips are points at random places, with the teeth of marks drawn by `RollMark`, whose lines
and pixels are millimetres here. Each test prints its seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from stripwatch.inspect.periodic.comb import P_MAX, Comb, _score, find_candidates, find_comb
from stripwatch.inspect.periodic.coverage import Spans
from stripwatch.inspect.periodic.followed import PLACES
from stripwatch.inspect.periodic.side import Side
from stripwatch.lab.bench.roll_marks import FRAME_MM, LIMITS, Told, strip_places, watch
from stripwatch.synthetic import RollMark

SEED = 20
P = 1885.0


def mark(period_mm: float = P, **changes: float) -> RollMark:
    """A mark as of a work roll, whose teeth are nearly all seen."""
    plain = {"pixel": 400.0, "visible": 0.9, "jitter_lines": 1.0, "jitter_pixels": 2.0}
    return RollMark(period_mm, **(plain | {"slip": 0.0005, "first_line": 50e3} | changes))  # type: ignore[arg-type]


def told_of(
    per_m: float,
    length_mm: float,
    *marks: RollMark,
    seed: int = SEED,
    gaps: Sequence[tuple[float, float]] = (),
) -> list[Told]:
    print("seed", seed)
    return watch(strip_places((seed, 1), per_m, length_mm, marks), length_mm, gaps)[0]


def in_state(told: list[Told], state: str) -> list[Told]:
    return [entry for entry in told if entry.state == state]


@pytest.mark.parametrize("per_m", [0.5, 2.0, 10.0])
def test_random_defects_are_no_mark(per_m: float) -> None:
    """Over 1 km each; `stripwatch bench --only periodic` does 36."""
    assert told_of(per_m, 1e6) == []


@pytest.mark.parametrize(
    ("per_m", "period_mm", "visible", "delay_m"),
    [(2, P, 0.9, 20), (2, P, 0.6, 60), (2, P, 0.4, 120), (2, 628.0, 0.6, 15), (10, P, 0.6, 80)],
)
def test_a_mark_is_found_and_its_period_is_right(
    per_m: float, period_mm: float, visible: float, delay_m: float
) -> None:
    """Soon, once, with its first and last place, and to a thousandth of the period at its end."""
    one = mark(period_mm, visible=visible, end_line=350e3)
    opened, *_, closed = told_of(per_m, 450e3, one)
    assert opened.state == "opened"
    assert opened.at_mm - 50e3 < delay_m * 1000
    assert 50e3 - 2 * P < opened.first_mm < opened.at_mm
    assert closed.state == "closed"
    assert abs(closed.period_mm / period_mm - 1) < 1e-3
    assert abs(closed.last_mm - 350e3) < PLACES * period_mm
    share = closed.teeth / (closed.teeth + closed.missed)
    assert abs(share - visible) < 0.1
    assert abs(closed.lane_mm - 400) < 5


def test_several_rolls_at_once_are_told_apart() -> None:
    """In lanes of their own, and two in the same lane."""
    marks = (mark(P), mark(628.0, pixel=700.0), mark(2410.0, pixel=405.0), mark(P, pixel=900.0))
    opened = in_state(told_of(2, 300e3, *marks), "opened")
    found = sorted((round(entry.lane_mm, -2), round(entry.period_mm)) for entry in opened)
    assert [lane for lane, _ in found] == [400, 400, 700, 900]
    for (_, period), expected in zip(found, (P, 2410, 628, P), strict=True):
        assert abs(period - expected) < 3


def test_dense_bursts_are_no_mark() -> None:
    """Neither many small ones in one lane nor one that is metres long."""
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    starts = random.uniform(0, 300e3, 100)
    spots = (starts[:, None] + random.uniform(0, 200, (100, 20))).ravel()
    long = random.uniform(300e3, 306e3, 300)
    along = np.concatenate([spots, long])
    places = np.stack([along, random.uniform(390, 430, len(along))], axis=1)
    told, _ = watch(places[np.argsort(along)], 320e3)
    assert told == []


def test_a_mark_that_fades_and_returns_is_closed_and_opened_again() -> None:
    early, late = mark(end_line=150e3), mark(first_line=250e3)
    told = told_of(2, 400e3, early, late)
    assert [entry.state for entry in told if entry.state != "updated"] == [
        *("opened", "closed"),
        *("opened", "closed"),
    ]
    assert abs(in_state(told, "closed")[0].last_mm - 150e3) < 5 * P
    assert in_state(told, "opened")[1].first_mm > 245e3


def test_a_speed_change_is_followed() -> None:
    """With the speed changes the forward slip: here by 0.5 % within 30 m."""
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    turns = P * np.interp(np.arange(160), [0, 70, 86, 160], [1, 1, 1.005, 1.005])
    along = 20e3 + np.cumsum(turns) + random.normal(0, 1, len(turns))
    marked = np.stack([along, random.normal(400, 2, len(along))], axis=1)
    places = np.concatenate([strip_places((SEED,), 2, 340e3), marked])
    told, _ = watch(places[np.argsort(places[:, 0])], 340e3)
    assert len(in_state(told, "opened")) == 1
    assert told[-1].last_mm == pytest.approx(along[-1], abs=P)
    assert told[-1].missed <= 2


def test_teeth_that_fell_into_a_gap_are_not_missing() -> None:
    """Neither before the mark is known nor after, and a long gap does not close it."""
    gaps = ((52e3, 56e3), (100e3, 100e3 + (PLACES + 6) * P))
    one = mark(visible=1.0, slip=0.0)
    told = told_of(0.5, 250e3, one, gaps=gaps)
    assert len(in_state(told, "opened")) == 1
    assert told[-1].missed == 0
    assert told[-1].teeth < (250e3 - 50e3) / P - PLACES
    assert told[-1].period_mm == pytest.approx(P, abs=0.1)
    closed = told_of(0.5, 250e3, mark(visible=1.0, end_line=100e3))[-1]
    assert closed.state == "closed"  # without a gap it ends where its teeth end
    assert closed.at_mm < 100e3 + (PLACES + 2) * P


def test_a_lane_between_two_cameras_is_one_lane() -> None:
    """Teeth left and right of the border, seen twice in the overlap, by a camera that lags."""
    print("seed", SEED)
    one = mark(pixel=500.0, jitter_pixels=6.0, visible=1.0)
    places = strip_places((SEED,), 2, 200e3, [one]).tolist()
    side, told = Side(LIMITS), []
    views = {"left": (0.0, 505.0, 0), "right": (495.0, 1000.0, 8)}  # and frames that it lags
    for frame in range(int(200e3 / FRAME_MM)):
        for name, (left, right, lag) in views.items():
            first = (frame - lag) * FRAME_MM
            if first < 0:
                continue
            side.inspected(name, (left, right), (first, first + FRAME_MM))
            for along, across in places:
                if first <= along < first + FRAME_MM and left <= across <= right:
                    told += [(state, seen) for state, seen in side.defect(along, across)]
        told += side.advance()
    told += side.close()
    assert [state for state, _ in told if state != "updated"] == ["opened", "closed"]
    ended = told[-1][1]
    turns = (200e3 - 50e3) / P
    assert abs(ended.teeth + ended.missed - turns) < 12
    assert ended.missed < 3


def everywhere(last_mm: float = 100e3) -> Spans:
    spans = Spans(0, 1000, last_mm)
    spans.add(0, last_mm)
    return spans


def comb_of(
    newest_mm: float, lane: Sequence[float], covered: Spans, least_mm: float = 300.0
) -> Comb | None:
    candidates_mm = find_candidates(newest_mm, lane, covered, (least_mm, 4000))
    return find_comb(newest_mm, lane, covered, candidates_mm)


def test_the_density_is_counted_without_the_teeth() -> None:
    """Six teeth alone are enough; were they background, too, p were a thousand times larger."""
    teeth = [50e3 - turn * P for turn in range(6)]
    comb = comb_of(teeth[0], sorted(teeth[1:]), everywhere())
    assert comb is not None
    assert comb.p_value < 1e-10 < P_MAX
    assert (comb.slots, comb.missed) == (5, 0)
    four = comb_of(teeth[0], sorted(teeth[1:4]), everywhere())
    assert four is None


@pytest.mark.parametrize("divisor", [2, 3, 4])
def test_a_part_of_the_period_is_not_preferred(divisor: int) -> None:
    """All teeth are teeth of half the period, too; a few random defects between change nothing."""
    teeth = [50e3 - turn * P for turn in range(8)]
    between = [P / divisor, 1.3 * P, 3.7 * P]  # back
    lane = sorted([*teeth[1:], *(50e3 - back for back in between)])
    comb = comb_of(50e3, lane, everywhere())
    assert comb is not None
    assert comb.period_mm == pytest.approx(P, abs=2)


def test_a_part_is_taken_where_its_own_teeth_speak_for_it() -> None:
    """Though the nearest tooth is missing, so that no distance is as short as the period."""
    lane = sorted(50e3 - turn * 350 for turn in range(2, 14, 1) if turn != 1)
    comb = comb_of(50e3, lane, everywhere(), 600)
    assert comb is not None
    assert comb.period_mm == pytest.approx(350, abs=1)


def test_a_multiple_of_the_period_is_corrected_later() -> None:
    """At first only every second tooth is seen, later all."""
    early, late = mark(2 * P, visible=1.0, slip=0.0), mark(P, visible=1.0, slip=0.0)
    along = [place for place, _ in late.teeth((SEED,), 0, 400e3)]
    seen = [place for turn, place in enumerate(along) if turn % 2 == 0 or place > 150e3]
    told, _ = watch(np.array([(place, 400.0) for place in seen]), 400e3)
    assert early.period_lines == pytest.approx(told[0].period_mm, abs=2)
    (opened,) = in_state(told, "opened")
    assert opened is told[0]
    assert in_state(told, "updated")[0].at_mm < 150e3 + 16 * P
    assert told[-1].period_mm == pytest.approx(P, abs=1)


def test_a_second_flaw_of_a_roll_in_the_same_lane_is_not_told_of_again() -> None:
    one, other = mark(visible=1.0), mark(visible=1.0, first_line=50e3 + 0.37 * P, pixel=405.0)
    assert len(in_state(told_of(0.5, 250e3, one, other), "opened")) == 1


@pytest.mark.parametrize("period_mm", [628.0, P])
def test_a_flaw_of_several_spots_is_found_and_told_of_once(period_mm: float) -> None:
    """Its other spots are no background, though they are seven times as dense as its teeth."""
    random = np.random.default_rng(SEED)
    spots = [
        mark(period_mm, visible=0.8, slip=0.0, first_line=50e3 + along, pixel=400 + across)
        for along, across in random.uniform(-25, 25, (7, 2)).tolist()
    ]
    (opened,) = in_state(told_of(2, 150e3, *spots), "opened")
    assert opened.period_mm == pytest.approx(period_mm, rel=1e-3)
    assert opened.last_mm - 50e3 < 6.1 * period_mm


def test_a_long_mark_is_told_of_every_100_metres() -> None:
    told = told_of(0.5, 500e3, mark())
    at_m = [entry.at_mm / 1000 for entry in told]
    assert [entry.state for entry in told] == ["opened", *["updated"] * 4, "closed"]
    assert all(99 < after - before < 102 for before, after in pairwise(at_m[:5]))


def test_a_lane_that_is_too_dense_is_not_tested() -> None:
    """The work for a defect stays bounded in noise."""
    lane = [50e3 - 5 * step for step in range(1, 2000)][::-1]
    assert comb_of(50e3, lane, everywhere()) is None


def test_p_values_bound_how_often_chance_makes_a_comb() -> None:
    """Among candidates of random lanes, p <= x comes less often than x."""
    print("seed", SEED)
    random = np.random.default_rng(SEED)
    p_values = []
    for _ in range(400):
        lane = np.sort(random.uniform(0, 50e3, random.poisson(40))).tolist()
        ends = [place for place in lane if 300 <= 50e3 - place <= 4000]
        combs = [_score(50e3, lane, everywhere(), 50e3 - end, 1) for end in ends]
        p_values += [comb.p_value if comb else math.inf for comb in combs]
    for limit in (0.3, 0.1, 0.03):
        assert np.mean(np.array(p_values) <= limit) <= limit
