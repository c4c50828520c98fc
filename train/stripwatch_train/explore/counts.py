"""Counts of a data set, taken in one pass over its frames; a few numbers of each are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.inspect.defects import find_components
from stripwatch.service.console import Progress
from stripwatch.wire.names import class_bit
from stripwatch_train.data.brightness import (
    FRAMES_AT_ONCE,
    LEVELS,
    Histogram,
    PixelStatistics,
    histogram_of,
    statistics_of,
)
from stripwatch_train.data.formats.mask_table import CLASSES, SHAPE, read_mask_table
from stripwatch_train.data.formats.severstal import CLASS_NAMES
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet, RunMasks, Sample, make_classes

# The area beside a strip is nearly black; JPEG and camera noise raise it to this level at most.
BLACK_MAX = 15  # of 255
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# Distances of the quartiles beyond the upper one. The usual 1.5 is for normal distributions; areas
# of defects are so skewed that every tenth would be an outlier.
FENCE = 3.0

Areas = NDArray[np.int64]
Combination = tuple[int, ...]  # class ids in order; () = clean


@dataclass(frozen=True, slots=True, eq=False)
class FrameFacts:
    """Facts about one frame."""

    sample: Sample
    shape: tuple[int, int]  # lines, pixels
    components: tuple[Areas, ...]  # by class: pixels of each connected component
    marked: int  # pixels of any class
    mean: float = 0.0  # grey level; 0 where pixels are not there
    black: float = 0.0  # share of pixels not above `BLACK_MAX`

    @property
    def areas(self) -> tuple[int, ...]:
        """Pixels by class."""
        return tuple(int(components.sum()) for components in self.components)

    @property
    def combination(self) -> Combination:
        """The classes that the frame has."""
        return tuple(
            index for index, components in enumerate(self.components, 1) if components.size
        )

    def share(self, class_id: int) -> float:
        """The share of the frame's pixels that are of a class."""
        return int(self.components[class_id - 1].sum()) / (self.shape[0] * self.shape[1])


@dataclass(frozen=True, slots=True)
class Exploration:
    """A data set and its counts."""

    data_set: DataSet
    frames: tuple[FrameFacts, ...]
    pixels: PixelStatistics | None  # None: the images are not there

    def name(self, combination: Combination) -> str:
        """The names of its classes, for reading."""
        names = {entry.id: entry.name for entry in self.data_set.classes}
        return " + ".join(names[class_id] for class_id in combination) or "clean"

    def with_class(self, class_id: int) -> list[FrameFacts]:
        """The frames that have a class."""
        return [frame for frame in self.frames if frame.components[class_id - 1].size]

    def combinations(self) -> list[tuple[Combination, int]]:
        """Combinations of classes and their frames, the most frequent first."""
        counts = Counter(frame.combination for frame in self.frames)
        return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))

    def frame_areas(self, class_id: int) -> Areas:
        """Pixels of a class in each frame that has it."""
        areas = [frame.components[class_id - 1].sum() for frame in self.with_class(class_id)]
        return np.array(areas, np.int64)

    def component_areas(self, class_id: int) -> Areas:
        """Pixels of each connected component of a class."""
        return np.concatenate([frame.components[class_id - 1] for frame in self.frames])

    def class_shares(self) -> list[float]:
        """The share of all pixels for each class. Where classes overlap, pixels count for both."""
        areas = [int(self.component_areas(entry.id).sum()) for entry in self.data_set.classes]
        return [area / self._pixels() for area in areas]

    def background_share(self) -> float:
        """The share of all pixels that are of no class."""
        return 1 - sum(frame.marked for frame in self.frames) / self._pixels()

    def _pixels(self) -> int:
        return sum(frame.shape[0] * frame.shape[1] for frame in self.frames)


def explore(
    data_set: DataSet, *, with_images: bool = True, progress: Progress = lambda *_: None
) -> Exploration:
    """Read every frame and mask once, some at a time.

    Args:
        data_set: to explore.
        with_images: False where the images are not there: only masks are read then.
        progress: called after each frame.

    Raises:
        ConfigError: there are no frames, or an image or mask cannot be read.
    """
    samples, classes = data_set.samples, len(data_set.classes)
    if not samples:
        raise ConfigError(f"{data_set.source}: has no frames to explore")
    histogram = np.zeros(LEVELS, np.int64)
    frames: list[FrameFacts] = []
    with ThreadPoolExecutor() as pool:  # most of the time goes into decoding, outside the GIL
        for start in range(0, len(samples), FRAMES_AT_ONCE):
            part = samples[start : start + FRAMES_AT_ONCE]
            for facts, counts in pool.map(lambda one: _facts(one, classes, with_images), part):
                frames.append(facts)
                histogram += counts
                progress("frames", len(frames), len(samples))
    pixels = statistics_of(histogram) if with_images else None
    return Exploration(data_set, tuple(frames), pixels)


def open_mask_table(path: Path, names: Sequence[str] | None = None) -> DataSet:
    """A table of masks whose images are not there, as a data set of which only masks can be read.

    Raises:
        ConfigError: the table breaks a rule, or is not of as many classes as names are given.
    """
    known = make_classes(path, names or CLASS_NAMES)
    if len(known) != CLASSES:
        raise ConfigError(f"{path}: has {CLASSES} classes, but {len(known)} names are given")
    samples = tuple(
        Sample(
            name,
            path.parent / name,
            RunMasks(SHAPE, "severstal", tuple(sorted(masks.items()))) if masks else None,
        )
        for name, masks in read_mask_table(path).items()
    )
    return DataSet(known, samples, str(path))


def large_share(shares: Sequence[float]) -> float:
    """The share of a frame above which a class's area is an outlier among these shares.

    Tukey's outer fence: the upper quartile and `FENCE` times the distance of the quartiles. The
    largest masks cannot move it. It may be above 1; then no mask is an outlier.
    """
    low, high = np.percentile(shares, (25, 75))
    return float(high + FENCE * (high - low))


def _facts(sample: Sample, classes: int, with_images: bool) -> tuple[FrameFacts, Histogram]:
    counts = np.zeros(LEVELS, np.int64)
    if with_images:
        image = load_image(sample)
        shape = (image.shape[0], image.shape[1])
        counts = histogram_of(image)
    else:
        assert isinstance(sample.masks, RunMasks | None)
        shape = sample.masks.shape if sample.masks else SHAPE
    mask = load_mask(sample, shape)
    components = tuple(_components(mask & class_bit(c)) for c in range(1, classes + 1))
    pixels = max(int(counts.sum()), 1)
    mean = float(np.arange(LEVELS) @ counts) / pixels
    black = int(counts[: BLACK_MAX + 1].sum()) / pixels
    return FrameFacts(sample, shape, components, int(np.count_nonzero(mask)), mean, black), counts


def _components(plane: NDArray[Any]) -> Areas:
    """Areas of the connected components, int64 [n]; 8-connected, as in the daemon."""
    if not plane.any():
        return np.zeros(0, np.int64)
    return find_components(plane).stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
