"""Near-duplicates: frames that show the same surface share a group (ADR 12).

Two images are near-duplicates when their thumbnails, after the removal of low frequencies (light,
and stripes along or across), correlate by more than `LIKENESS_MIN`, or by less than minus that:
gain, offset and even inversion make no difference. All turned and mirrored views are compared.
Near-duplicates are joined, also over several steps, and joined with the groups that the samples
carry, such as one strip.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.service.console import Progress
from stripwatch_train.data.images import opened
from stripwatch_train.data.samples import DataSet

# By eye, in two public sets: down to 0.8 nearly all pairs are copies, those at the lower end with
# something pasted in; below 0.7 nearly none are. Different frames of real strip came to 0.63.
LIKENESS_MIN = 0.8
THUMBNAIL_SIDE_PX = 24
SLOW_PX = 3.0  # pixels of the thumbnail: lower frequencies are removed
CONTRAST_MIN = 0.1  # grey levels; flatter thumbnails have no near-duplicates
BLOCK_ROWS = 512  # compared at a time; bounds memory
Thumbnails = NDArray[np.float32]


def find_groups(data_set: DataSet, progress: Progress = lambda *_: None) -> NDArray[np.int64]:
    """The group of each sample: the index of its first member, int64 [samples].

    Raises:
        ConfigError: an image cannot be read.
    """
    groups = known_groups(data_set)
    with ThreadPoolExecutor() as pool:  # most of the time goes into decoding, outside the GIL
        thumbnails: list[Thumbnails] = []
        for thumbnail in pool.map(_thumbnail, [sample.image for sample in data_set.samples]):
            thumbnails.append(thumbnail)
            progress("frames compared", len(thumbnails), len(data_set.samples))
    join_alike(np.stack(thumbnails), groups)
    return groups


def known_groups(data_set: DataSet) -> NDArray[np.int64]:
    """As `find_groups`, but only the groups that the samples carry."""
    first_of: dict[str, int] = {}
    groups = np.arange(len(data_set.samples))
    for index, sample in enumerate(data_set.samples):
        if sample.group:
            groups[index] = first_of.setdefault(sample.group, index)
    return groups


def join_alike(thumbnails: Thumbnails, groups: NDArray[np.int64]) -> None:
    """Join, in place, the groups (int64 [n]) of similar thumbnails (float32 [n, side, side]).

    Thumbnails have length 1, or 0 where nothing but low frequencies is left.
    """
    count = len(thumbnails)
    flat = thumbnails.reshape(count, -1)
    for start in range(0, count, BLOCK_ROWS):
        block = thumbnails[start : start + BLOCK_ROWS]
        alike = np.zeros((len(block), count - start), np.bool_)
        for view in _views(block):
            # Pairs with earlier rows were found there: views are closed under inversion.
            likeness = view.reshape(len(block), -1) @ flat[start:].T
            alike |= np.abs(likeness, out=likeness) > LIKENESS_MIN
        for row in np.flatnonzero(alike.sum(axis=1) > 1):
            joined = groups[start + np.flatnonzero(alike[row])]
            if joined.min() != joined.max():
                groups[np.isin(groups, joined)] = joined.min()


def _views(block: Thumbnails) -> list[Thumbnails]:
    """The eight turned and mirrored views of thumbnails."""
    upright = [block, block[:, ::-1], block[:, :, ::-1], block[:, ::-1, ::-1]]
    return upright + [view.transpose(0, 2, 1) for view in upright]


def _thumbnail(path: Path) -> Thumbnails:
    """High frequencies of an image, float32 [side, side] of length 1; zeros without any."""
    side = THUMBNAIL_SIDE_PX
    with opened(path) as image:
        image.draft("L", (2 * side, 2 * side))  # lets JPEG decode small, which is much faster
        grey = np.array(image.convert("L"), np.float32)
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    fast = small - cv2.GaussianBlur(small, (0, 0), SLOW_PX)
    fast -= fast.mean(axis=0, keepdims=True)
    fast -= fast.mean(axis=1, keepdims=True)
    length = float(np.linalg.norm(fast))
    if length < CONTRAST_MIN * side:
        return np.zeros((side, side), np.float32)
    return np.asarray(fast / length, np.float32)
