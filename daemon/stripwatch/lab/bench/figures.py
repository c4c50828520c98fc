"""Figures of a bench: ratios by rounds, and goals beside what was measured."""

from __future__ import annotations

import statistics

Figures = dict[str, object]  # by name; lists of rows become tables of their own


def goal_row(rows: int, figure: str, goal: str, measured: object, *, met: bool) -> Figures:
    """One goal, what was measured, and whether it is met, for batches of `rows` frames."""
    return {
        "rows": rows,
        "figure": figure,
        "goal": goal,
        "measured": measured,
        "met": "yes" if met else "no",
    }


def ratios(values: list[float], base: list[float]) -> list[float]:
    """Value over base, round by round."""
    return [round(value / other, 3) for value, other in zip(values, base, strict=True)]


def ratio_figures(base_name: str, base: list[float], name: str, values: list[float]) -> Figures:
    """Medians of A and B over the rounds, and the ratio B / A with each round's."""
    rounds = ratios(values, base)
    return {
        base_name: round(statistics.median(base), 1),
        name: round(statistics.median(values), 1),
        "ratio": round(statistics.median(rounds), 3),
        "ratios": rounds,
    }
