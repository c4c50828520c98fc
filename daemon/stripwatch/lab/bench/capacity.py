"""The daemon's own capacity, with an engine that costs nothing, by the share of defective frames.

Frames come from another process, and one more process subscribes to all events. Processor time is
of the threads' own clocks, so it hardly depends on what else the machine does.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.findings import Segmentation
from stripwatch.inspect.model import Model
from stripwatch.lab.bench.canned import canned_factory
from stripwatch.lab.bench.feed import SEED, feed_process, make_frames
from stripwatch.lab.bench.figures import Figures, goal_row, ratio_figures
from stripwatch.lab.bench.harness import BenchSetup, frames_per_s, running_pipeline
from stripwatch.lab.bench.listener import listener_process
from stripwatch.lab.bench.load_monitor import threads_cpu_ns
from stripwatch.lab.bench.measure import DENSE, as_segmentation, bare_receive
from stripwatch.synthetic import CLASSES

ROUNDS = 3
MIXES = ((0.0, False), (0.3, False), (1.0, False), (1.0, True))  # share, subscriber to images
DEFECTIVE_FRAMES_PER_S = 1500.0  # goal where every frame is defective
RATIO = 0.8  # goal over bare ZeroMQ where none is

Reading = dict[str, float]  # rates, and processor time of a frame by thread in us


def capacity(setup: BenchSetup) -> Figures:
    """Frames and events per second, and processor time of a frame, by share of defective frames."""
    frames = make_frames(SEED, setup.frame_shape, DENSE)
    found = [as_segmentation(frame) for frame in frames if frame.mask.any()]
    pixels = [frame.pixels for frame in frames]
    bare: list[float] = []
    readings: dict[tuple[float, bool], list[Reading]] = {mix: [] for mix in MIXES}
    for _ in range(ROUNDS):
        bare.append(bare_receive(setup, pixels))
        for mix in MIXES:
            readings[mix].append(_read(setup, found, pixels, *mix))
    rates = {mix: [one["frames_per_s"] for one in of_mix] for mix, of_mix in readings.items()}
    clean = ratio_figures("zeromq_frames_per_s", bare, "clean_frames_per_s", rates[0.0, False])
    return {
        **clean,
        "modes": [_row(mix, of_mix) for mix, of_mix in readings.items()],
        "goals": [
            goal_row(
                setup.rows,
                "no frame defective, over bare ZeroMQ",
                f">= {RATIO:g}",
                clean["ratio"],
                met=float(str(clean["ratio"])) >= RATIO,
            ),
            *(
                _goal(setup, label, rates[1.0, images])
                for label, images in (("", False), (", with a subscriber to images", True))
            ),
        ],
    }


def _read(
    setup: BenchSetup,
    found: list[Segmentation],
    pixels: list[NDArray[np.uint8]],
    share: float,
    images: bool,
) -> Reading:
    with (
        running_pipeline(setup, Model("canned", CLASSES), canned_factory(found, share)) as pipeline,
        listener_process(setup.events_at, images=images) as received,
        feed_process(setup.frames_at, pixels),
    ):
        frames_per_s(pipeline, 0)  # until frames flow
        while pipeline.publisher.subscriptions == 0 and pipeline.failure is None:
            time.sleep(0.01)
        inspected, cpu_ns = pipeline.outbox.ledger.inspected, threads_cpu_ns()
        counts, started_s = received.read(), time.monotonic()
        rate = frames_per_s(pipeline, setup.seconds)
        taken_s, counts_after = time.monotonic() - started_s, received.read()
        frames = pipeline.outbox.ledger.inspected - inspected
        cpu_after_ns = threads_cpu_ns()
    events, pictures = (
        (after - before) / taken_s for after, before in zip(counts_after, counts, strict=True)
    )
    return {
        "frames_per_s": rate,
        "events_per_s": events,
        "images_per_s": pictures,
        **{
            f"{name}_us": (total_ns - cpu_ns.get(name, 0)) / 1000 / frames
            for name, total_ns in cpu_after_ns.items()
        },
    }


def _row(mix: tuple[float, bool], readings: list[Reading]) -> Figures:
    """Medians over the rounds; threads that use less than 1 us a frame are left out."""
    share, images = mix
    names = dict.fromkeys(name for reading in readings for name in reading)
    medians = {
        name: round(statistics.median(one.get(name, 0) for one in readings), 1) for name in names
    }
    rates = [round(one["frames_per_s"]) for one in readings]
    return {
        "share": share,
        "images": "yes" if images else "no",
        **{name: value for name, value in medians.items() if value >= 1 or name[-3:] != "_us"},
        "rounds": " ".join(map(str, rates)),
    }


def _goal(setup: BenchSetup, label: str, rates: list[float]) -> Figures:
    rate = statistics.median(rates)
    return goal_row(
        setup.rows,
        f"every frame defective{label}",
        f">= {DEFECTIVE_FRAMES_PER_S:g} frames/s",
        round(rate, 1),
        met=rate >= DEFECTIVE_FRAMES_PER_S,
    )
