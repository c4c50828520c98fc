"""Histograms of durations."""

from __future__ import annotations

import numpy as np

from stripwatch.stages.histogram import Histogram
from stripwatch.stages.latency import LatencyWindow, Stage


def test_durations_are_counted_up_to_each_bound() -> None:
    """A bound belongs to its own bucket, as Prometheus counts; sums and counts go together."""
    histogram = Histogram((0.1, 1.0))
    histogram.add(0.1)
    histogram.add([0.05, 0.2, 1.0, 7.0])
    histogram.add([])
    buckets, sum_s = histogram.cumulated()
    assert buckets == [("0.1", 2), ("1", 4), ("+Inf", 5)]
    assert sum_s == np.float64(8.35)


def test_the_window_of_latencies_fills_the_histograms_of_all_time() -> None:
    """Of stages that are known; taking the window does not empty them."""
    window = LatencyWindow()
    for _ in range(2):
        window.add((np.nan, 2.0, 3.0, 4.0, 5.0, np.nan))
        window.take()
    counts = {stage: one.cumulated()[0][-1][1] for stage, one in window.histograms.items()}
    assert counts == dict.fromkeys(Stage, 2) | {Stage.RECEIVE_WAIT: 0, Stage.TOTAL: 0}
    assert round(window.histograms[Stage.ENGINE].cumulated()[1], 6) == 0.006
