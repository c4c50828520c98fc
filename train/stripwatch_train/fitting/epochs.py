"""Frames of an epoch and their order: a function of seed and epoch alone (ADR 13).

A resumed run therefore continues as if it had never stopped, and several processes share an epoch
without any communication.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as pl
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from stripwatch_train.data.samples import Sample
from stripwatch_train.fitting.frame_dataset import FrameDataset, Key, View

Loader = DataLoader[tuple[Tensor, Tensor]]


def draw_epoch(
    clean: NDArray[np.bool_],
    pseudo: NDArray[np.bool_],
    *,
    frames: int,
    clean_share: float | None,
    pseudo_share: float,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """The samples of an epoch, int64 [frames]; none comes again before all of its kind came.

    Args:
        clean: which samples have no defect, bool [samples].
        pseudo: which are labelled by a model, bool [samples].
        frames: how many to draw; 0 = as many as are labelled by hand.
        clean_share: of the drawn ones that are labelled by hand; None = as they come.
        pseudo_share: of the drawn ones, where there are any.
        seed: of the run.
        epoch: from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    by_hand = ~pseudo
    total = frames or int(by_hand.sum())
    guessed = round(total * pseudo_share) if pseudo.any() else 0
    rest = total - guessed
    kinds = [(pseudo, guessed)]
    if clean_share is None or not (by_hand & clean).any() or (clean | pseudo).all():
        kinds.append((by_hand, rest))
    else:
        few = round(rest * clean_share)
        kinds += [(by_hand & clean, few), (by_hand & ~clean, rest - few)]
    drawn = [_cycled(np.flatnonzero(kind), count, rng) for kind, count in kinds if count]
    return rng.permutation(np.concatenate(drawn))


def _cycled(indices: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rounds = [rng.permutation(indices) for _ in range(-(-count // len(indices)))]
    return np.concatenate(rounds)[:count]


class Epochs(pl.LightningDataModule):
    """The batches of a run."""

    def __init__(
        self,
        training: Sequence[Sample],
        validation: Sequence[Sample],
        clean: NDArray[np.bool_],
        pseudo: NDArray[np.bool_],
        view: View,
        seed: int,
        taught: Sequence[Path | None],
        workers: int,
    ) -> None:
        """`clean`, `pseudo` and `taught`, of the training samples: `draw_epoch`, `FrameDataset`."""
        super().__init__()
        self._frames = FrameDataset(training, view, seed, taught)
        self._validation = FrameDataset(validation, view, seed)
        self._validation_count = len(validation)
        self._clean, self._pseudo = clean, pseudo
        self._member = view.member
        self._seed = seed
        self._workers = workers

    def steps_per_epoch(self, processes: int) -> int:
        """Number of optimizer steps in an epoch."""
        schedule = self._member.schedule
        frames = len(self._keys(0)) // processes
        batches = max(1, frames // schedule.batch)
        return -(-batches // schedule.accumulate)

    def train_dataloader(self) -> Loader:
        """This process's share of the epoch; an incomplete last batch is left out."""
        assert self.trainer is not None
        keys = self._keys(self.trainer.current_epoch)
        share = keys[self.trainer.global_rank :: self.trainer.world_size]
        share = share[: len(keys) // self.trainer.world_size]
        return self._loader(self._frames, share, drop_last=len(share) >= self._batch)

    def val_dataloader(self) -> Loader:
        """This process's share of the validation frames."""
        assert self.trainer is not None
        keys = [(index, -1, 0) for index in range(self._validation_count)]
        share = keys[self.trainer.global_rank :: self.trainer.world_size]
        return self._loader(self._validation, share, drop_last=False)

    @property
    def _batch(self) -> int:
        return self._member.schedule.batch

    def _keys(self, epoch: int) -> list[Key]:
        drawn = draw_epoch(
            self._clean,
            self._pseudo,
            frames=self._member.schedule.frames_per_epoch,
            clean_share=self._member.images.clean,
            pseudo_share=self._member.images.pseudo,
            seed=self._seed,
            epoch=epoch,
        )
        return [(index, epoch, position) for position, index in enumerate(drawn.tolist())]

    def _loader(self, frames: FrameDataset, keys: list[Key], *, drop_last: bool) -> Loader:
        return DataLoader(
            frames,
            batch_size=self._batch,
            sampler=keys,
            drop_last=drop_last,
            num_workers=self._workers,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type != "cpu",
        )
