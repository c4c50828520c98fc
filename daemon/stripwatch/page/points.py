"""Seconds of the line as points of a chart; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One second."""

    t_s: float
    frames_per_s: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    missed: int
    defects: int
    speed_m_per_min: float | None


def together(points: Sequence[Point]) -> Point:
    """Several seconds as one point: means, the worst latency, sums of counts."""
    p50 = [one.latency_p50_ms for one in points if one.latency_p50_ms is not None]
    p99 = [one.latency_p99_ms for one in points if one.latency_p99_ms is not None]
    speeds = [one.speed_m_per_min for one in points if one.speed_m_per_min is not None]
    return Point(
        t_s=points[-1].t_s,
        frames_per_s=round(statistics.fmean(one.frames_per_s for one in points), 2),
        latency_p50_ms=round(statistics.fmean(p50), 3) if p50 else None,
        latency_p99_ms=max(p99, default=None),
        missed=sum(one.missed for one in points),
        defects=sum(one.defects for one in points),
        speed_m_per_min=round(statistics.fmean(speeds), 2) if speeds else None,
    )


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
