"""The figures of the GPU part, from given readings."""

from __future__ import annotations

import pytest

from stripwatch.engines.manifest import DefectClass, Manifest
from stripwatch.lab.bench.gpu import batch_sizes
from stripwatch.lab.bench.gpu_figures import Reading, overlap_limit, summary

SHAPE = (8, 32)
CLASSES = (DefectClass(id=1, name="pits"),)


@pytest.mark.parametrize(
    ("batch", "rows", "sizes"),
    [
        (None, None, [1, 4, 8, 16]),
        ((1, 16), None, [1, 4, 8, 16]),
        ((2, 9), None, [4, 8]),
        ((2, 3), None, [3]),
        ((1, 16), 6, [6]),
    ],
)
def test_batch_sizes_are_those_that_the_engine_takes(
    batch: tuple[int, int] | None, rows: int | None, sizes: list[int]
) -> None:
    """All of the usual ones in its range, or the one that was asked for."""
    manifest = Manifest("tensorrt", "", "test", "fp16", SHAPE, CLASSES, batch=batch)
    assert batch_sizes(manifest, rows) == sizes


@pytest.mark.parametrize(
    ("copy_ms", "compute_ms", "limit"), [(1, 1, 2.0), (1, 3, 4 / 3), (3, 1, 4 / 3), (0, 0, 1.0)]
)
def test_the_limit_of_overlap(copy_ms: float, compute_ms: float, limit: float) -> None:
    """Copying and computing at the same time takes as long as the longer of the two."""
    assert overlap_limit(copy_ms, compute_ms) == pytest.approx(limit)


def test_rounds_become_medians_and_the_largest_maximum() -> None:
    """A mode's row has the median of its rounds, and `unknown` where there is no reading."""
    readings = [
        Reading(rate, {"p50": rate, "p99": 2 * rate, "max": 3 * rate}, None, rate)
        for rate in (1.0, 5.0, 2.0)
    ]
    assert summary(4, "bare", readings) == {
        "rows": 4,
        "mode": "bare",
        "frames_per_s": 2.0,
        "p50_ms": 2.0,
        "p99_ms": 4.0,
        "max_ms": 15.0,
        "gpu_percent": "unknown",
        "cpu_percent": 2,
    }
    assert "gpu_percent" not in summary(4, "PyTorch eager", readings)
