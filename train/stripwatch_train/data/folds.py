"""Folds for cross-validation: no image in two folds, equal shares of every class (ADR 12).

**Groups.** Frames that look alike must not be apart: a model that has seen one of them knows the
other. Public sets are full of such frames (recaptures of one piece, copies that were turned by 90
or 180 degrees, one picture pasted into another), and nothing in their names tells. Two images
count as alike when their thumbnails, freed of what varies slowly (light, and stripes along or
across), correlate by more than `LIKENESS_MIN`, or by less than minus that: gain, offset and even
inversion make no difference. All turned and mirrored views are compared. What is alike is joined,
also over several steps, and joined with the groups that the samples carry, such as one strip.

**Folds.** Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (ECML PKDD
2011) deal out frames by their rarest label, each to the fold that lacks that label most. Here whole
groups are dealt out so, those with the largest share of any class first; what a fold lacks is
weighed over all classes, the clean frames and the number of frames together.

**Tolerance.** In every fold the number of frames with a class, of clean frames, and of frames is
within `2 + the most that one group holds of it` of the even share (so within 2 or 3 frames where
there are no groups). This is measured, over thousands of random sets, and tested.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch_train.data.samples import DataSet, classes_of, opened

# By eye, in two public sets: down to 0.8 nearly all pairs are copies, those at the lower end with
# something pasted in; below 0.7 nearly none are. Different frames of real strip came to 0.63.
LIKENESS_MIN = 0.8
THUMBNAIL_SIDE_PX = 24
SLOW_PX = 3.0  # of the thumbnail: what varies more slowly is taken off
CONTRAST_MIN = 0.1  # grey levels; flatter thumbnails are like nothing
BLOCK_ROWS = 512  # compared at a time; bounds memory

Thumbnails = NDArray[np.float32]


class FoldFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folds.json`: which frame is in which fold."""

    folds: Annotated[int, Meta(ge=2)]
    seed: int
    fold_of: dict[str, Annotated[int, Meta(ge=0)]]  # by sample name, from 0
    group_of: dict[str, str] = {}  # by sample name: the first of its group; single frames have none


def make_folds(data_set: DataSet, folds: int, seed: int, *, split_copies: bool = False) -> FoldFile:
    """Find groups and deal them out; the same data and seed give the same folds.

    Args:
        data_set: what is dealt out.
        folds: how many.
        seed: decides between groups that are alike in what they hold.
        split_copies: frames that look alike may come into different folds. Scores then measure
            memory, too: only for comparison with those that were published so.

    Raises:
        ConfigError: an image or mask cannot be read, or there are fewer groups than folds.
    """
    if folds < 2:
        raise ConfigError(f"{folds} folds: give 2 or more")
    groups = _known_groups(data_set) if split_copies else find_groups(data_set)
    found = len(np.unique(groups))
    if found < folds:
        raise ConfigError(
            f"{data_set.source}: has {found} frames or groups of frames that do not look alike; "
            f"these make no {folds} folds"
        )
    assigned = assign_folds(class_table(data_set), groups, folds, seed)
    names = [sample.name for sample in data_set.samples]
    sizes = np.bincount(groups, minlength=len(names))
    return FoldFile(
        folds=folds,
        seed=seed,
        fold_of=dict(zip(names, assigned.tolist(), strict=True)),
        group_of={
            name: names[group]
            for name, group in zip(names, groups.tolist(), strict=True)
            if sizes[group] > 1
        },
    )


def class_table(data_set: DataSet) -> NDArray[np.bool_]:
    """Which sample has which class, bool [samples, classes].

    Raises:
        ConfigError: a mask file cannot be read.
    """
    table = np.zeros((len(data_set.samples), len(data_set.classes)), np.bool_)
    for row, sample in zip(table, data_set.samples, strict=True):
        row[[class_id - 1 for class_id in classes_of(sample)]] = True
    return table


def assign_folds(
    table: NDArray[np.bool_], groups: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """The fold of each sample, int64 [samples] from 0; no group is split.

    Args:
        table: which sample has which class, bool [samples, classes].
        groups: int64 [samples], equal for samples of one group.
        folds: how many.
        seed: decides between groups that are alike in what they hold.
    """
    clean = ~table.any(axis=1, keepdims=True)
    columns = np.concatenate([table, clean, np.ones_like(clean)], axis=1)
    _, group_of = np.unique(groups, return_inverse=True)
    shares = np.zeros((group_of.max() + 1, columns.shape[1]))
    np.add.at(shares, group_of, columns)
    shares /= np.maximum(shares.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(shares))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    fold_of = np.zeros(len(shares), np.int64)
    held = np.zeros((folds, shares.shape[1]))
    for group in order:
        # How much the sum of squares of what folds hold would grow: least where most is lacking.
        growth = held @ shares[group]
        lacking = np.flatnonzero(growth <= growth.min() + 1e-12)
        fold_of[group] = lacking[np.argmin(held[lacking, -1])]
        held[fold_of[group]] += shares[group]
    return fold_of[group_of]


def find_groups(data_set: DataSet) -> NDArray[np.int64]:
    """The group of each sample: the index of its first member, int64 [samples].

    Raises:
        ConfigError: an image cannot be read.
    """
    groups = _known_groups(data_set)
    with ThreadPoolExecutor() as pool:  # most of the time goes into decoding, outside the GIL
        thumbnails = list(pool.map(_thumbnail, [sample.image for sample in data_set.samples]))
    join_alike(np.stack(thumbnails), groups)
    return groups


def _known_groups(data_set: DataSet) -> NDArray[np.int64]:
    """As `find_groups`, of what the samples themselves say."""
    first_of: dict[str, int] = {}
    groups = np.arange(len(data_set.samples))
    for index, sample in enumerate(data_set.samples):
        if sample.group:
            groups[index] = first_of.setdefault(sample.group, index)
    return groups


def join_alike(thumbnails: Thumbnails, groups: NDArray[np.int64]) -> None:
    """Join, in place, the groups (int64 [n]) of thumbnails (float32 [n, side, side]) alike.

    Thumbnails are of length 1, or 0 for those that are like nothing.
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
    """What tells an image from others, float32 [side, side] of length 1; zeros if nothing does."""
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


def fold_rows(data_set: DataSet, folds: FoldFile) -> list[tuple[int | str, ...]]:
    """For reading, by fold and in all: fold, frames, clean frames, frames with each class.

    Raises:
        ConfigError: a mask file cannot be read.
    """
    table = class_table(data_set)
    columns = np.concatenate([~table.any(axis=1, keepdims=True), table], axis=1)
    fold_of = np.array([folds.fold_of[sample.name] for sample in data_set.samples])
    rows: list[tuple[int | str, ...]] = []
    for fold in range(folds.folds):
        inside = columns[fold_of == fold]
        rows.append((fold, len(inside), *inside.sum(axis=0).tolist()))
    return [*rows, ("all", len(columns), *columns.sum(axis=0).tolist())]


def save_folds(path: Path, folds: FoldFile) -> None:
    """Write folds.json.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(folds), indent=1) + b"\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def read_folds(path: Path) -> FoldFile:
    """Read folds.json.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=FoldFile)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not a file of folds: {error}") from None


def load_folds(path: Path, data_set: DataSet) -> tuple[FoldFile, NDArray[np.int64]]:
    """Read folds.json; with it the fold of each sample, int64 [samples].

    Labels may have changed since it was written, frames not.

    Raises:
        ConfigError: it is missing, damaged, or was made for other frames.
    """
    folds = read_folds(path)
    strange = {sample.name for sample in data_set.samples} ^ folds.fold_of.keys()
    if strange or max(folds.fold_of.values()) >= folds.folds:
        raise ConfigError(
            f"{path}: was made for other data than {data_set.source} ({len(strange)} frames are "
            "in one of them only); write it again with: stripwatch-train folds"
        )
    return folds, np.array([folds.fold_of[sample.name] for sample in data_set.samples], np.int64)
