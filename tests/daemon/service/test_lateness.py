"""When frames are late although none is dropped."""

from __future__ import annotations

import pytest

from stripwatch.service.lateness import LATE_MS_MAX, Lateness, own_latency_ms
from stripwatch.wire.event import Percentile


def stages(**p50_ms: float) -> dict[str, dict[Percentile, float]]:
    return {name: {"p50": value, "p99": value, "max": value} for name, value in p50_ms.items()}


def test_the_way_from_the_camera_is_not_the_daemons_own() -> None:
    """A camera whose clock is wrong makes no alarm."""
    latency_ms = stages(
        receive_wait=9000, batch_wait=5, engine=20, inspect=2, publish=1, total=9028
    )
    assert own_latency_ms(latency_ms) == 28
    assert own_latency_ms({}) == 0


@pytest.mark.parametrize(
    ("values_ms", "changes"),
    [
        ([0, 500, LATE_MS_MAX], [False, False, False]),
        ([LATE_MS_MAX + 1, 5000, 20, 0], [True, False, True, False]),
    ],
)
def test_only_a_change_of_the_state_is_logged(values_ms: list[float], changes: list[bool]) -> None:
    lateness = Lateness()
    assert [lateness.update(value) for value in values_ms] == changes
    assert not lateness.is_late
