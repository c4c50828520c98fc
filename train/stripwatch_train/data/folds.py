"""Folds for cross-validation: no image in two folds, equal shares of every class (ADR 12).

**Groups.** Near-duplicates stay in one fold: a model that was trained on one of them knows the
other, and the scores leak. Public sets are full of them (recaptures of one piece, copies turned by
90 or 180 degrees, one picture pasted into another), and their names do not show it. See
`duplicates`.

**Folds.** Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (ECML PKDD
2011) assign frames by their rarest label, each to the fold that lacks that label most. Here whole
groups are assigned so, those with the largest share of any class first; the lack of a fold is
weighed over all classes, the clean frames and the number of frames together.

**Tolerance.** In every fold the number of frames with a class, of clean frames, and of frames is
within `2 + the most that one group holds of it` of the even share (so within 2 or 3 frames where
there are no groups). This is measured, over thousands of random sets, and tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import Progress
from stripwatch_train.data.duplicates import (
    find_groups,
    known_groups,
)
from stripwatch_train.data.masks import classes_of
from stripwatch_train.data.samples import DataSet
from stripwatch_train.data.text import read_text


class FoldFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folds.json`: which frame is in which fold."""

    folds: Annotated[int, Meta(ge=2)]
    seed: int
    fold_of: dict[str, Annotated[int, Meta(ge=0)]]  # by sample name, from 0
    group_of: dict[str, str] = {}  # by sample name: the first of its group; single frames have none


def make_folds(
    data_set: DataSet,
    folds: int,
    seed: int,
    *,
    split_copies: bool = False,
    progress: Progress = lambda *_: None,
) -> FoldFile:
    """Find groups and assign them to folds; the same data and seed give the same folds.

    Args:
        data_set: to divide.
        folds: how many.
        seed: decides between groups with the same content.
        split_copies: near-duplicates may come into different folds. Scores then measure
            memory, too: only for comparison with those that were published so.
        progress: called for each frame, first while frames are compared, then for their classes.

    Raises:
        ConfigError: an image or mask cannot be read, or there are fewer groups than folds.
    """
    if folds < 2:
        raise ConfigError(f"{folds} folds: give 2 or more")
    groups = known_groups(data_set) if split_copies else find_groups(data_set, progress)
    found = len(np.unique(groups))
    if found < folds:
        raise ConfigError(
            f"{data_set.source}: has {found} frames or groups of near-duplicates, "
            f"too few for {folds} folds"
        )
    assigned = assign_folds(class_table(data_set, progress), groups, folds, seed)
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


def class_table(data_set: DataSet, progress: Progress = lambda *_: None) -> NDArray[np.bool_]:
    """Table of the classes of each sample, bool [samples, classes].

    Raises:
        ConfigError: a mask file cannot be read.
    """
    table = np.zeros((len(data_set.samples), len(data_set.classes)), np.bool_)
    for done, (row, sample) in enumerate(zip(table, data_set.samples, strict=True)):
        progress("classes of frames", done, len(table))
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
        seed: decides between groups with the same content.
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
        # Growth of the sum of squared shares: least in the fold that lacks most.
        growth = held @ shares[group]
        lacking = np.flatnonzero(growth <= growth.min() + 1e-12)
        fold_of[group] = lacking[np.argmin(held[lacking, -1])]
        held[fold_of[group]] += shares[group]
    return fold_of[group_of]


def fold_rows(data_set: DataSet, folds: FoldFile) -> list[tuple[int | str, ...]]:
    """Rows for reading, by fold and in all: fold, frames, clean frames, frames with each class.

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
        return msgspec.json.decode(read_text(path), type=FoldFile)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not a file of folds: {error}") from None


def load_folds(path: Path, data_set: DataSet) -> tuple[FoldFile, NDArray[np.int64]]:
    """Read folds.json; with it the fold of each sample, int64 [samples].

    Labels may have changed since it was written, frames not.

    Raises:
        ConfigError: it is missing, damaged, or was made for other frames.
    """
    folds = read_folds(path)
    unmatched = {sample.name for sample in data_set.samples} ^ folds.fold_of.keys()
    if unmatched or max(folds.fold_of.values()) >= folds.folds:
        raise ConfigError(
            f"{path}: was made for other data than {data_set.source} ({len(unmatched)} frames are "
            "in one of them only); write it again with: stripwatch-train folds"
        )
    return folds, np.array([folds.fold_of[sample.name] for sample in data_set.samples], np.int64)
