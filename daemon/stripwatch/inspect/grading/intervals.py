"""Intervals along the strip, in millimetres, first below last."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[float, float]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same places as disjoint intervals, in order."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def clip(intervals: Iterable[Interval], within: Interval) -> list[Interval]:
    """What lies in one interval."""
    return [
        (max(first, within[0]), min(last, within[1]))
        for first, last in intervals
        if first < within[1] and last > within[0]
    ]


def total(intervals: Iterable[Interval]) -> float:
    """The length of disjoint intervals."""
    return sum(last - first for first, last in intervals)


def between(intervals: Iterable[Interval], within: Interval) -> list[Interval]:
    """What of one interval is outside of others, which are disjoint and in order."""
    free: list[Interval] = []
    at = within[0]
    for first, last in clip(intervals, within):
        if first > at:
            free.append((at, first))
        at = max(at, last)
    if at < within[1]:
        free.append((at, within[1]))
    return free
