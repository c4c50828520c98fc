"""Batches in turn, and percentiles of their times."""

from __future__ import annotations

import pytest

from stripwatch.lab.bench.batches import percentiles, run_batches


def test_percentiles_of_batches() -> None:
    """p50 and p99 lie between the values, max is one of them."""
    values = [float(value) for value in range(101)]
    assert percentiles(values) == {"p50": 50, "p99": 99, "max": 100}


@pytest.mark.parametrize("in_flight", [1, 2])
def test_batches_go_through_the_places_in_turn(in_flight: int) -> None:
    """None is started before its place is free, and never more than allowed are in flight."""
    running: list[int] = []
    order: list[int] = []

    def start(place: int) -> None:
        assert place not in running
        running.append(place)
        assert len(running) <= in_flight

    def finish(place: int) -> None:
        running.remove(place)
        order.append(place)

    timing = run_batches(start, finish, places=3, in_flight_max=in_flight, seconds=0.01)
    assert order[:4] == [0, 1, 2, 0]
    assert not running
    assert timing.per_s > 0
