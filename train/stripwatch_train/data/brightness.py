"""Mean and spread of a data set's pixels, which a model's input is scaled by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_train.data.images import load_image
from stripwatch_train.data.samples import Sample

LEVELS = 256
FRAMES_AT_ONCE = 512  # whose counts wait to be added: 2 KB each

Histogram = NDArray[np.int64]  # [256]: how many pixels have each grey level


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Statistics of all pixels of some frames together."""

    mean: float  # of pixels as 0 to 1
    std: float  # likewise; 0 where all pixels are equal
    histogram: Histogram


def pixel_statistics(
    samples: Sequence[Sample], progress: Progress = lambda *_: None
) -> PixelStatistics:
    """The statistics of samples' pixels; every pixel counts the same, whatever its frame's size.

    They are exact: counts are whole numbers and rounded once, at the end, so that neither the
    order of the samples nor the number of threads changes a digit.

    Raises:
        ConfigError: there are no samples, or an image cannot be read.
    """
    histogram = np.zeros(LEVELS, np.int64)
    with ThreadPoolExecutor() as pool:  # most of the time goes into decoding, outside the GIL
        for start in range(0, len(samples), FRAMES_AT_ONCE):
            part = samples[start : start + FRAMES_AT_ONCE]
            for done, counts in enumerate(pool.map(_histogram_of, part), start + 1):
                histogram += counts
                progress("frames read", done, len(samples))
    return statistics_of(histogram)


def statistics_of(histogram: Histogram) -> PixelStatistics:
    """The statistics that a histogram of grey levels holds.

    Raises:
        ConfigError: it counts no pixels.
    """
    counts = [int(count) for count in histogram]  # Python's, which do not overflow
    pixels = sum(counts)
    if not pixels:
        raise ConfigError("there are no frames whose brightness could be measured; give some")
    total = sum(level * count for level, count in enumerate(counts))
    squares = sum(level * level * count for level, count in enumerate(counts))
    scale = pixels * (LEVELS - 1)
    return PixelStatistics(
        mean=total / scale,
        std=math.sqrt(pixels * squares - total * total) / scale,
        histogram=histogram,
    )


def histogram_of(pixels: NDArray[np.uint8]) -> Histogram:
    """Histogram of the grey levels of pixels (uint8, any shape), int64 [256]."""
    return np.bincount(pixels.ravel(), minlength=LEVELS).astype(np.int64, copy=False)


def _histogram_of(sample: Sample) -> Histogram:
    return histogram_of(load_image(sample))
