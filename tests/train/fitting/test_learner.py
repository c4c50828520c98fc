"""What Lightning is told: the learning rate's way, the average, optimizers, and scores."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import lightning as pl  # noqa: E402
from torch import nn  # noqa: E402

from stripwatch_train.fitting.learner import (  # noqa: E402
    Learner,
    _parameter_groups,
    average,
    rate_at,
)
from stripwatch_train.fitting.networks import make_network  # noqa: E402
from stripwatch_train.fitting.trainer import _quiet_lightning  # noqa: E402
from stripwatch_train.runs.recipe import Loss, Member, Network, Optimizer  # noqa: E402

SHARE = st.floats(0, 1)
PLAIN = Network("vanilla-unet", depth=1, channels=(4, 8))
WITH_ENCODER = Network("unet", "tu-mobilenetv3_small_050", "", 3, (8, 8, 8))
CLASSIFIER = Network("classifier", "mobilenetv3_small_050", "")

pytestmark = pytest.mark.usefixtures("one_thread")


def rates(steps: int, **settings: float) -> list[float]:
    return [rate_at(step, steps, Optimizer(**settings)) for step in range(steps)]  # type: ignore[arg-type]


def learner(member: Member, names: tuple[str, ...] = ("pits", "cracks")) -> Learner:
    outputs = len(names) + (member.activation == "softmax")
    return Learner(member, outputs, names, (), steps=100, seed=0)


def test_the_learning_rate_rises_stays_and_falls_along_a_cosine() -> None:
    found = rates(100, warm_up=0.1, flat=0.2)
    assert found[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert found[10:31] == [1.0] * 21
    assert found[30:] == pytest.approx([(1 + math.cos(math.pi * i / 70)) / 2 for i in range(70)])
    assert rate_at(100, 100, Optimizer()) == pytest.approx(0, abs=1e-9)


def test_without_warm_up_the_first_step_is_at_the_full_rate() -> None:
    assert rates(10, warm_up=0.0)[0] == 1.0


@given(steps=st.integers(1, 1000), warm_up=SHARE, flat=SHARE)
def test_the_learning_rate_is_over_0_at_every_step_and_never_rises_again(
    steps: int, warm_up: float, flat: float
) -> None:
    assume(warm_up + flat <= 1)
    found = rates(steps, warm_up=warm_up, flat=flat)
    assert all(0 < rate <= 1 for rate in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert rate_at(steps + 1, steps, Optimizer()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.998])
def test_the_average_is_quick_at_first_and_then_as_slow_as_its_decay(decay: float) -> None:
    mean, value = torch.zeros(3), torch.ones(3)
    for count in (1, 5, 20, 10**6):
        kept = min(decay, (count + 1) / (count + 10))
        found = average(mean, value, torch.tensor(count), decay)
        torch.testing.assert_close(found, torch.full((3,), 1 - kept))
    torch.testing.assert_close(average(value, value, 5, decay), value)


def test_what_counts_is_taken_as_it_is_and_not_averaged() -> None:
    """Batch normalization counts its batches."""
    found = average(torch.tensor(3), torch.tensor(8), 100, 0.99)
    assert found.dtype == torch.int64
    assert int(found) == 8


def test_the_average_keeps_half_precision() -> None:
    found = average(torch.zeros(2).half(), torch.ones(2).half(), 1, 0.9)
    assert found.dtype == torch.float16


@pytest.mark.parametrize("kind", ["adam", "adamw", "radam", "sgd"])
@pytest.mark.parametrize("network", [PLAIN, WITH_ENCODER], ids=lambda network: network.architecture)
def test_every_weight_is_in_one_parameter_group_with_its_learning_rate(
    kind: Any, network: Network
) -> None:
    settings = Optimizer(
        kind=kind, learning_rate=0.01, encoder_learning_rate=0.002, weight_decay=0.03, warm_up=0
    )
    model = learner(Member(network=network, optimizer=settings))
    groups = model.configure_optimizers()["optimizer"].param_groups
    names = {id(value): name for name, value in model.network.named_parameters()}
    rate_of = {names[id(value)]: group["lr"] for group in groups for value in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(names) == len(rate_of)
    for name, rate in rate_of.items():
        assert rate == (0.002 if ".encoder." in name else 0.01), name
    assert all(group["weight_decay"] == 0.03 for group in groups)
    assert any(rate == 0.002 for rate in rate_of.values()) == (network is WITH_ENCODER)


def test_without_a_rate_of_its_own_an_encoder_learns_at_that_of_the_rest() -> None:
    model = learner(Member(network=WITH_ENCODER, optimizer=Optimizer(warm_up=0)))
    (group,) = model.configure_optimizers()["optimizer"].param_groups
    assert group["lr"] == 1e-3
    assert len(group["params"]) == len(list(model.network.parameters()))


def test_both_rates_go_the_same_way_step_by_step() -> None:
    settings = Optimizer(learning_rate=0.1, encoder_learning_rate=0.01, warm_up=0.1, kind="sgd")
    made = learner(Member(network=WITH_ENCODER, optimizer=settings)).configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]
    assert schedule["interval"] == "step"
    for step in range(5):
        wanted = rate_at(step, 100, settings)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
            [0.01 * wanted, 0.1 * wanted]
        )
        optimizer.step()
        schedule["scheduler"].step()


class Answers(nn.Module):
    """A network that answers with the image itself, so that a test knows its logits."""

    def forward(self, image: Any) -> Any:
        return image if image.shape[3] > 1 else image.flatten(1)


def score(
    member: Member, names: tuple[str, ...], batches: list[tuple[Any, Any]], folder: Path
) -> dict[str, float]:
    """What Lightning logs of validation batches of logits and targets."""
    model = learner(member, names)
    model.network = Answers()
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    with warnings.catch_warnings():
        _quiet_lightning()
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        (found,) = trainer.validate(model, loader, verbose=False)
    return dict(found)


def dice(found: Any, true: Any) -> float:
    both = float((found & true).sum())
    return 2 * both / float(found.sum() + true.sum())


def test_dice_of_a_class_is_over_all_frames_together_and_the_score_their_mean(
    tmp_path: Path,
) -> None:
    """Not the mean of batches: those that differ in size or defects would count alike."""
    rng = torch.Generator().manual_seed(1)
    sizes = ((2, 2, 8, 10), (1, 2, 8, 10))
    batches = [
        (torch.randn(size, generator=rng), (torch.rand(size, generator=rng) < share).float())
        for size, share in zip(sizes, (0.1, 0.8), strict=True)
    ]
    found = score(Member(network=PLAIN), ("pits", "cracks"), batches, tmp_path)
    logits, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    wanted = [dice(logits[:, index] >= 0, targets[:, index] >= 0.5) for index in (0, 1)]
    assert [found["dice.pits"], found["dice.cracks"]] == pytest.approx(wanted)
    assert found["score"] == pytest.approx(sum(wanted) / 2)


def test_a_class_that_is_neither_there_nor_found_has_no_dice(tmp_path: Path) -> None:
    logits, targets = torch.full((1, 2, 4, 4), -3.0), torch.zeros(1, 2, 4, 4)
    nothing = score(Member(network=PLAIN), ("pits", "cracks"), [(logits, targets)], tmp_path)
    assert nothing["score"] == 1.0
    assert not [name for name in nothing if name.startswith("dice.")]
    logits[0, 1, 0, 0] = 3.0
    wrong = score(Member(network=PLAIN), ("pits", "cracks"), [(logits, targets)], tmp_path)
    assert (wrong["score"], wrong["dice.cracks"]) == (0.0, 0.0)
    assert "dice.pits" not in wrong


def test_scores_of_softmax_leave_the_background_out(tmp_path: Path) -> None:
    """A pixel is found where the class's own probability is a half, not where it is largest."""
    member = Member(activation="softmax", loss=Loss(0.0, 0.0, 1.0), network=PLAIN)
    probability = np.array([[0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [0.5, 0.0, 0.5]]) + 1e-6
    logits = torch.tensor(np.log(probability).T.reshape(1, 3, 1, 3), dtype=torch.float32)
    targets = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]]).T.reshape(1, 3, 1, 3)
    found = score(member, ("pits", "cracks"), [(logits, targets)], tmp_path)
    assert found["dice.pits"] == pytest.approx(2 * 1 / (1 + 2))
    assert set(found) == {"dice.pits", "dice.cracks", "score", "validation_loss"}


@pytest.mark.parametrize(("role", "names"), [("gate", ("defect",)), ("classifier", ("a", "b"))])
def test_scores_of_gates_and_classifiers_count_frames(
    tmp_path: Path, role: Any, names: tuple[str, ...]
) -> None:
    logits = torch.tensor([[2.0, -1.0], [1.0, -1.0], [-1.0, 3.0]])[:, : len(names)]
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])[:, : len(names)]
    batches = [(logits[..., None, None], targets)]
    found = score(Member(role=role, network=CLASSIFIER), names, batches, tmp_path)
    wanted = [2 * 1 / (2 + 2), 2 * 1 / (1 + 2)][: len(names)]
    assert [found[f"dice.{name}"] for name in names] == pytest.approx(wanted)
    assert found["score"] == pytest.approx(sum(wanted) / len(names))


def test_a_classifier_s_encoder_learns_at_its_own_rate() -> None:
    """All but its last layer."""
    network = make_network(Network("classifier", "mobilenetv3_small_050", ""), 4)
    settings = Optimizer(learning_rate=0.01, encoder_learning_rate=0.001)
    encoder, rest = _parameter_groups(network, settings)
    assert encoder["lr"] == 0.001
    last: Any = network
    assert {id(value) for value in rest["params"]} == {
        id(value) for value in last.get_classifier().parameters()
    }
    assert len(encoder["params"]) + len(rest["params"]) == len(list(network.parameters()))
