"""Frames for a benchmark: made once, sent in a loop by a process of their own."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stripwatch.feed.link import Link
from stripwatch.feed.pace import Pace
from stripwatch.feed.sender import Schedule, send_frames
from stripwatch.feed.sources.frame import Source, raw_frame
from stripwatch.synthetic import SyntheticFrame, SyntheticStrip

SEED = 11  # of the strip
FRAMES = 64  # made in advance; enough for a typical mix of clean and defective ones
CAMERA = "bench"


def make_frames(
    seed: int, frame_shape: tuple[int, int], defects_per_1000_lines: float = 2.0
) -> list[SyntheticFrame]:
    """`FRAMES` consecutive frames of a synthetic strip."""
    strip = SyntheticStrip(seed, frame_shape, defects_per_1000_lines)
    return [strip.frame(index) for index in range(FRAMES)]


@contextmanager
def feed_process(
    endpoint: str,
    pixels: list[NDArray[np.uint8]],
    frames_per_s: float | None = None,
    pattern: Literal["push", "pub"] = "push",
) -> Iterator[None]:
    """Send frames to a PULL or SUB endpoint, at a rate or as fast as they are taken."""
    # A fork would copy threads' locks; a fresh process gets the frames handed over.
    process = multiprocessing.get_context("spawn").Process(
        target=_feed, args=(endpoint, pixels, frames_per_s, pattern), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _feed(
    endpoint: str,
    pixels: list[NDArray[np.uint8]],
    frames_per_s: float | None,
    pattern: Literal["push", "pub"],
) -> None:
    frames = [raw_frame(frame) for frame in pixels]
    source = Source(name="bench", frames=lambda: iter(frames), count=len(frames))
    schedule = Schedule(cameras=(CAMERA,), pace=Pace(frames_per_s=frames_per_s), loop=True)
    link = Link(endpoint=endpoint, pattern=pattern)
    send_frames(source, link, schedule, threading.Event(), receiver_timeout_s=60)
