"""Epochs: which frames they take, how processes share them, and that a seed decides it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

torch = pytest.importorskip("torch")

import lightning as pl  # noqa: E402

from stripwatch_train.data.samples import Sample  # noqa: E402
from stripwatch_train.fitting.epochs import Epochs, draw_epoch  # noqa: E402
from stripwatch_train.fitting.frame_dataset import View  # noqa: E402
from stripwatch_train.runs.recipe import ImageSettings, Member, Schedule  # noqa: E402

COUNTS = st.integers(0, 30)
SHARES = st.floats(0, 1)
Numbers = NDArray[np.int64]


def kinds(defective: int, clean: int, pseudo: int) -> dict[str, NDArray[np.bool_]]:
    """Frames in this order; pseudo-labelled ones are never clean."""
    total = defective + clean + pseudo
    index = np.arange(total)
    is_clean = (index >= defective) & (index < defective + clean)
    return {"clean": is_clean, "pseudo": index >= defective + clean}


def draw(defective: int, clean: int, pseudo: int = 0, **settings: Any) -> Numbers:
    options = {"frames": 0, "clean_share": None, "pseudo_share": 0.12, "seed": 0, "epoch": 0}
    return draw_epoch(**kinds(defective, clean, pseudo), **(options | settings))  # type: ignore[arg-type]


@given(defective=COUNTS, clean=COUNTS, seed=st.integers(0, 2**31), epoch=st.integers(0, 999))
def test_an_epoch_takes_every_labelled_frame_once(
    defective: int, clean: int, seed: int, epoch: int
) -> None:
    if defective + clean:
        drawn = draw(defective, clean, seed=seed, epoch=epoch)
        assert sorted(drawn.tolist()) == list(range(defective + clean))


@given(
    defective=st.integers(1, 30),
    clean=st.integers(1, 30),
    pseudo=COUNTS,
    frames=st.integers(0, 100),
    clean_share=SHARES | st.none(),
    pseudo_share=SHARES,
    seed=st.integers(0, 2**31),
)
def test_the_shares_of_an_epoch_are_exact_and_all_of_a_kind_come_before_one_comes_again(
    defective: int, clean: int, pseudo: int, seed: int, **settings: Any
) -> None:
    drawn = draw(defective, clean, pseudo, seed=seed, **settings)
    total = settings["frames"] or defective + clean
    assert len(drawn) == total
    flags = kinds(defective, clean, pseudo)
    guessed = round(total * settings["pseudo_share"]) if pseudo else 0
    assert flags["pseudo"][drawn].sum() == guessed
    parts = [(np.flatnonzero(flags["pseudo"]), guessed)]
    if settings["clean_share"] is None:
        parts.append((np.arange(defective + clean), total - guessed))
    else:
        few = round((total - guessed) * settings["clean_share"])
        assert flags["clean"][drawn].sum() == few
        parts.append((np.flatnonzero(flags["clean"]), few))
        parts.append((np.arange(defective), total - guessed - few))
    for members, count in parts:
        if len(members):
            times = np.bincount(drawn, minlength=len(flags["clean"]))[members]
            assert times.sum() == count
            assert times.max() - times.min() <= 1


@pytest.mark.parametrize(("defective", "clean"), [(7, 0), (0, 7)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_where_all_frames_are_clean_or_none_a_clean_share_changes_nothing(
    defective: int, clean: int, share: float
) -> None:
    drawn = draw(defective, clean, clean_share=share)
    assert sorted(drawn.tolist()) == list(range(7))
    assert np.bincount(draw(defective, clean, clean_share=share, frames=21)).tolist() == [3] * 7


def test_where_all_labelled_frames_are_clean_pseudo_labelled_ones_are_no_part_of_them() -> None:
    drawn = draw(0, 10, 5, clean_share=0.5, pseudo_share=0.2)
    assert (drawn >= 10).sum() == 2
    assert len(set(drawn.tolist())) == 10


def test_an_epoch_follows_from_seed_and_number_alone() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(draw(20, 10, 5, clean_share=0.4, seed=seed, epoch=epoch).tolist())

    state = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    orders = {(seed, epoch): order(seed, epoch) for seed in range(3) for epoch in range(5)}
    assert len(set(orders.values())) == 15
    for key in reversed(list(orders)):
        assert order(*key) == orders[key]
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002


def test_an_epoch_is_the_same_on_every_machine() -> None:
    drawn = draw(4, 4, 2, clean_share=0.25, seed=1, epoch=2)
    assert drawn.tolist() == [6, 3, 0, 2, 5, 3, 1, 9]


def test_kinds_are_mixed() -> None:
    """Not first the ones, then the others: a batch has of all."""
    clean = draw(500, 500, clean_share=0.5) >= 500
    assert 0.4 < clean[:200].mean() < 0.6


@dataclass
class Process:
    """What of Lightning's trainer says which of several processes this is."""

    global_rank: int
    world_size: int
    current_epoch: int = 0

    @property
    def strategy(self) -> Process:
        return self

    @property
    def root_device(self) -> Any:
        return torch.device("cpu")


def make_epochs(samples: int, validation: int = 3, **parts: Any) -> Epochs:
    """Of images that are not there: nothing is loaded before a batch is asked for."""
    one = Sample("a", Path("a.png"), None)
    view = View(Member(**parts), (4, 4), 1, None, 0.0, 1.0)
    flags = kinds(samples, 0, 0)
    return Epochs(
        [one] * samples,
        [one] * validation,
        flags["clean"],
        flags["pseudo"],
        view,
        seed=4,
        taught=(),
        workers=0,
    )


def keys_of(epochs: Epochs, process: Process, loader: str = "train") -> list[tuple[int, int, int]]:
    """In batches as they come, flattened; what is left out is not among them."""
    epochs.trainer = cast("pl.Trainer", process)
    made = epochs.train_dataloader() if loader == "train" else epochs.val_dataloader()
    assert made.batch_sampler is not None
    return [cast("tuple[int, int, int]", key) for batch in made.batch_sampler for key in batch]


@given(samples=st.integers(1, 50), world=st.integers(1, 5), epoch=st.integers(0, 5))
def test_processes_share_an_epoch_evenly_and_none_has_anothers_frames(
    samples: int, world: int, epoch: int
) -> None:
    epochs = make_epochs(samples, schedule=Schedule(batch=1))
    shares = [keys_of(epochs, Process(rank, world, epoch)) for rank in range(world)]
    assert {len(share) for share in shares} == {samples // world}
    taken = [key for share in shares for key in share]
    assert len({index for index, _, _ in taken}) == len(taken) > samples - world
    assert all(number == epoch for _, number, _ in taken)
    assert len({position for _, _, position in taken}) == len(taken)


@given(frames=st.integers(0, 20), world=st.integers(1, 5), batch=st.integers(1, 6))
def test_processes_share_the_validation_frames_and_none_is_left_out(
    frames: int, world: int, batch: int
) -> None:
    epochs = make_epochs(3, frames, schedule=Schedule(batch=batch))
    shares = [keys_of(epochs, Process(rank, world), "validation") for rank in range(world)]
    assert sorted(key for share in shares for key in share) == [(i, -1, 0) for i in range(frames)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(
    samples=st.integers(1, 60),
    world=st.integers(1, 3),
    batch=st.integers(1, 9),
    accumulate=st.integers(1, 4),
)
def test_the_steps_that_the_learning_rate_is_planned_for_are_those_that_come(
    samples: int, world: int, batch: int, accumulate: int
) -> None:
    epochs = make_epochs(samples, schedule=Schedule(batch=batch, accumulate=accumulate))
    epochs.trainer = cast("pl.Trainer", Process(0, world))
    batches = len(epochs.train_dataloader())
    if samples >= world:
        assert epochs.steps_per_epoch(world) == -(-batches // accumulate)


@pytest.mark.parametrize(("samples", "batch", "taken"), [(10, 4, 8), (8, 4, 8), (3, 4, 3)])
def test_an_incomplete_batch_is_left_out_unless_it_is_the_only_one(
    samples: int, batch: int, taken: int
) -> None:
    epochs = make_epochs(samples, schedule=Schedule(batch=batch))
    assert len(keys_of(epochs, Process(0, 1))) == taken


def test_another_epoch_takes_other_frames_where_it_does_not_take_all() -> None:
    epochs = make_epochs(100, schedule=Schedule(batch=1, frames_per_epoch=10))
    first, second = (
        {index for index, _, _ in keys_of(epochs, Process(0, 1, epoch))} for epoch in (0, 1)
    )
    assert len(first) == len(second) == 10
    assert first != second


def test_batches_are_of_images_and_targets_and_validation_sees_whole_frames(
    tmp_path: Path,
) -> None:
    samples = []
    for index in range(5):
        path = tmp_path / f"{index}.png"
        Image.fromarray(np.full((12, 20), index, np.uint8)).save(path)
        samples.append(Sample(path.name, path, None))
    member = Member(images=ImageSettings(crop=(8, 8)), schedule=Schedule(batch=2))
    view = View(member, (12, 20), 3, None, 0.0, 1.0)
    flags = kinds(0, 5, 0)
    epochs = Epochs(samples, samples[:3], flags["clean"], flags["pseudo"], view, 0, (), workers=0)
    epochs.trainer = cast("pl.Trainer", Process(0, 1))
    for images, targets in epochs.train_dataloader():
        assert (images.shape, targets.shape) == ((2, 1, 8, 8), (2, 3, 8, 8))
    shapes = [tuple(images.shape) for images, _ in epochs.val_dataloader()]
    assert shapes == [(2, 1, 12, 20), (1, 1, 12, 20)]
