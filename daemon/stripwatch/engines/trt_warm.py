"""The warm-up of the GPU engine: compile, capture and time every size of batch in every lane.

CUDA graphs save the launches of a batch's kernels, one by one, which bound small batches; whether
they do on this card and in this size is measured, not assumed (ADR 23).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import structlog

from stripwatch.engines.trt_lane import Lane
from stripwatch.engines.trt_plan import DevicePlan
from stripwatch.errors import BrokenDeviceError, DeviceError

WARM_PASSES = 3  # TensorRT-RTX captures in a context's second pass and replays from the third on
TIMED_PASSES = 10


def warm_up(plan: DevicePlan, lanes: Sequence[Lane], sizes: Sequence[int]) -> None:
    """Get every lane ready for batches of every size, with CUDA graphs where they are faster.

    It computes whatever is in the GPU's memory. Afterwards nothing is compiled, captured or
    allocated any more.

    Raises:
        DeviceError: the device failed, or has too little memory.
    """
    log = structlog.get_logger()
    for size in sizes:
        for lane in lanes:
            lane.add(size, False, plan.context())
        _passes(lanes, size, WARM_PASSES)
        reason = _add_graphs(plan, lanes, size)
        if reason:
            _choose(lanes, size, False)
            log.info("batches run without CUDA graphs", frames=size, reason=reason)
        else:
            _passes(lanes, size, WARM_PASSES)
            plain_ms, graph_ms = _median_ms(lanes, size)
            _choose(lanes, size, graph_ms < plain_ms)
            log.info(
                "batches run from CUDA graphs"
                if graph_ms < plain_ms
                else "batches run without CUDA graphs, which are slower here",
                frames=size,
                plain_ms=round(plain_ms, 3),
                graph_ms=round(graph_ms, 3),
            )
        for lane in lanes:
            lane.drop_others(size)


def _add_graphs(plan: DevicePlan, lanes: Sequence[Lane], size: int) -> str:
    """Let the lanes run from CUDA graphs; returns why they cannot, "" if they can."""
    if plan.captures:
        for lane in lanes:
            lane.add(size, True, plan.context(capture=True))
        return ""
    try:
        for lane in lanes:
            lane.capture(size)
    except BrokenDeviceError:
        raise
    except DeviceError as error:  # for example a plan with branches, as a gate that skips
        reason = f"{error}: {plan.log.summary()}"
        plan.log.clear()
        return reason
    return ""


def _choose(lanes: Sequence[Lane], size: int, graph: bool) -> None:
    for lane in lanes:
        lane.choose(size, graph)


def _median_ms(lanes: Sequence[Lane], size: int) -> tuple[float, float]:
    """Median time of a pass without and with CUDA graphs.

    They take turns, so that a card that speeds up when it gets work favours neither.
    """
    times_ms: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TIMED_PASSES):
        for graph, of in times_ms.items():
            _choose(lanes, size, graph)
            started_s = time.monotonic()
            _passes(lanes, size, 1)
            of.append((time.monotonic() - started_s) * 1e3)
    return statistics.median(times_ms[False]), statistics.median(times_ms[True])


def _passes(lanes: Sequence[Lane], size: int, count: int) -> None:
    """Compute a batch in every lane, in turn, so many times, and wait for it."""
    before = lanes[-1]
    for _ in range(count):
        for lane in lanes:
            lane.compute(size, after=before)
            before = lane
    for lane in lanes:
        lane.stream.synchronize()
