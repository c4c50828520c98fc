"""Readings of the GPU part as medians, maxima and goals."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from stripwatch.lab.bench.figures import Figures, goal_row, ratios

DAEMON_OVER_BARE_MIN = 0.97
DAEMON_OVER_PYTORCH_MIN = 3.0
OURS = ("bare", "single-buffered", "double-buffered", "daemon")


@dataclass(frozen=True, slots=True)
class Reading:
    """One mode in one round."""

    frames_per_s: float
    batch_ms: dict[str, float]
    gpu_percent: float | None = None
    cpu_percent: float | None = None


def overlap_limit(copy_ms: float, compute_ms: float) -> float:
    """One after the other, over the longer of the two alone."""
    longer_ms = max(copy_ms, compute_ms)
    return (copy_ms + compute_ms) / longer_ms if longer_ms else 1.0


def summary(rows: int, name: str, readings: list[Reading]) -> Figures:
    """Medians over the rounds, and the largest of the maxima."""
    row: Figures = {
        "rows": rows,
        "mode": name,
        "frames_per_s": round(statistics.median(one.frames_per_s for one in readings), 1),
    }
    for key, of_rounds in (
        ("p50", statistics.median),
        ("p99", statistics.median),
        ("max", max),
    ):
        values = [one.batch_ms[key] for one in readings if key in one.batch_ms]
        row[f"{key}_ms"] = round(of_rounds(values), 3) if values else "unknown"
    if name in OURS:
        for key in ("gpu_percent", "cpu_percent"):
            values = [value for one in readings if (value := getattr(one, key)) is not None]
            row[key] = round(statistics.median(values)) if values else "unknown"
    return row


def gpu_goals(rows: int, readings: dict[str, list[Reading]], limit: float) -> list[Figures]:
    """The goals of one batch size beside what was measured; `limit` is `overlap_limit`'s."""
    rates = {name: [one.frames_per_s for one in entries] for name, entries in readings.items()}

    def goal(over: str, under: str, least: float, text: str) -> Figures:
        rounds = ratios(rates[over], rates[under])
        measured = statistics.median(rounds)
        row = goal_row(rows, f"{over} / {under}", text, measured, met=measured >= least)
        return row | {"rounds": rounds}

    goals = [
        goal("daemon", "bare", DAEMON_OVER_BARE_MIN, f">= {DAEMON_OVER_BARE_MIN}"),
        goal("double-buffered", "single-buffered", 1.001, f"> 1, limit {limit:.2f}"),
    ]
    if "PyTorch eager" in rates:
        text = f">= {DAEMON_OVER_PYTORCH_MIN:g}"
        goals.append(goal("daemon", "PyTorch eager", DAEMON_OVER_PYTORCH_MIN, text))
    return goals
