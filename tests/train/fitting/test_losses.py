"""Losses: by hand, with targets between 0 and 1, in half precision, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import ConfigError  # noqa: E402
from stripwatch_train.fitting.losses import balanced_weights, make_loss  # noqa: E402
from stripwatch_train.runs.recipe import Loss, Member, Network  # noqa: E402

CLASSIFIER = Network(architecture="classifier")


def sigmoid_loss(**weights: float) -> Any:
    return make_loss(Member(loss=Loss(weights.get("bce", 0.0), weights.get("dice", 0.0))), 1)


def softmax_member(cross_entropy: float, dice: float = 0.0) -> Member:
    return Member(activation="softmax", loss=Loss(0.0, dice, cross_entropy))


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def plane(*values: float) -> Any:
    """One image of one line and one channel."""
    return torch.tensor(values).reshape(1, 1, 1, -1)


def pixels_of(*pixels: tuple[float, ...]) -> Any:
    """One image of one line, by its pixels' channels."""
    return torch.tensor(pixels).T.reshape(1, len(pixels[0]), 1, len(pixels))


def seeded(*shape: int, seed: int) -> tuple[Any, Any]:
    """Logits and targets that are probabilities."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng) * 4, torch.rand(shape, generator=rng)


def test_bce_is_that_of_the_definition_also_where_a_target_is_not_sure() -> None:
    found = sigmoid_loss(bce=2.0)(plane(logit(0.9), logit(0.2), 0.0), plane(1.0, 0.25, 0.5))
    wanted = -math.log(0.9) - 0.25 * math.log(0.2) - 0.75 * math.log(0.8) - math.log(0.5)
    assert float(found) == pytest.approx(2 * wanted / 3)


def test_dice_is_that_of_the_definition_over_the_whole_batch() -> None:
    """1 - (2 * both + 2) / (found + true + 2), where `both` sums the smaller of the two.

    So a probability that is the target costs nothing, also where that is between 0 and 1.
    """
    logits = torch.cat([plane(logit(0.5), logit(0.75)), plane(logit(0.25), logit(0.5))])
    targets = torch.cat([plane(1.0, 0.0), plane(0.5, 0.0)])
    both, found, true = 0.5 + 0.25, 2.0, 1.5
    wanted = 1 - (2 * both + 2) / (found + true + 2)
    assert float(sigmoid_loss(dice=1.0)(logits, targets)) == pytest.approx(wanted)
    assert float(sigmoid_loss(dice=1.0)(logits, logits.sigmoid())) == pytest.approx(0, abs=1e-6)


def test_dice_of_classes_is_their_mean_and_one_that_is_nowhere_costs_nothing() -> None:
    member = Member(loss=Loss(bce=0.0, dice=1.0))
    logits = torch.zeros(1, 2, 1, 4)
    targets = torch.zeros(1, 2, 1, 4)
    assert float(make_loss(member, 2)(logits, targets)) == 0
    targets[0, 1, 0, 0] = 1.0
    wanted = 1 - (2 * 0.5 + 2) / (2 + 1 + 2)
    assert float(make_loss(member, 2)(logits, targets)) == pytest.approx(wanted / 2)


def test_lovasz_is_the_part_of_the_union_that_is_missed_where_the_network_is_sure() -> None:
    """Of softmax the mean over the background and the classes that are there: 1 - IoU of each."""
    sure = 40.0
    logits = pixels_of((sure, 0, 0), (0, sure, 0), (0, sure, 0), (sure, 0, 0))
    targets = pixels_of((1, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 0))
    member = Member(activation="softmax", loss=Loss(0.0, 0.0, lovasz=2.0))
    missed = ((1 - 2 / 3) + (1 - 1 / 2)) / 2
    assert float(make_loss(member, 3)(logits, targets)) == pytest.approx(2 * missed)
    right = make_loss(member, 3)(targets * sure, targets)
    assert float(right) == pytest.approx(0, abs=1e-6)


def test_lovasz_of_single_classes_costs_nothing_where_all_are_right_and_sure() -> None:
    loss = make_loss(Member(loss=Loss(0.0, 0.0, lovasz=1.0)), 1)
    assert float(loss(plane(3.0, -3.0), plane(1.0, 0.0))) == 0
    assert float(loss(plane(-3.0, -3.0), plane(0.9, 0.0))) > 1  # more than half is a defect


def test_losses_add_up_by_their_weights() -> None:
    logits, targets = seeded(2, 1, 4, 6, seed=1)
    bce, dice = (sigmoid_loss(**{name: 1.0})(logits, targets) for name in ("bce", "dice"))
    both = sigmoid_loss(bce=0.6, dice=0.4)(logits, targets)
    assert float(both) == pytest.approx(0.6 * float(bce) + 0.4 * float(dice))


def test_cross_entropy_counts_the_background_and_takes_soft_targets() -> None:
    logits = pixels_of((0.0, math.log(3.0)), (math.log(4.0), 0.0))
    targets = pixels_of((0.0, 1.0), (0.75, 0.25))
    wanted = -math.log(0.75) - 0.75 * math.log(0.8) - 0.25 * math.log(0.2)
    found = make_loss(softmax_member(1.0), 2)(logits, targets)
    assert float(found) == pytest.approx(wanted / 2)


def test_class_weights_weigh_the_background_and_each_class() -> None:
    logits, targets = pixels_of((0.0, 0.0, 0.0)), pixels_of((0.5, 0.25, 0.25))
    found = make_loss(softmax_member(1.0), 3, (0.5, 2.0, 8.0))(logits, targets)
    assert float(found) == pytest.approx(math.log(3) * (0.5 * 0.5 + 2.0 * 0.25 + 8.0 * 0.25))
    even = make_loss(softmax_member(1.0), 3)(logits, targets)
    assert float(make_loss(softmax_member(1.0), 3, (1.0,) * 3)(logits, targets)) == float(even)


def test_dice_of_softmax_leaves_the_background_out() -> None:
    logits = pixels_of((1.0, 1.0 + math.log(3.0)), (1.0, 1.0))
    targets = pixels_of((0.0, 1.0), (1.0, 0.0))
    wanted = 1 - (2 * 0.75 + 2) / (0.75 + 0.5 + 1 + 2)
    assert float(make_loss(softmax_member(0.0, 1.0), 2)(logits, targets)) == pytest.approx(wanted)


@pytest.mark.parametrize("role", ["gate", "classifier"])
def test_gates_and_classifiers_learn_from_bce_alone(role: Any) -> None:
    member = Member(role=role, network=CLASSIFIER, loss=Loss(bce=0.5, dice=1.0))
    logits = torch.tensor([[logit(0.9)], [logit(0.2)]])
    targets = torch.tensor([[1.0], [0.0]])
    wanted = 0.5 * (-math.log(0.9) - math.log(0.8)) / 2
    assert float(make_loss(member, 1)(logits, targets)) == pytest.approx(wanted)


MEMBERS = {
    "sigmoid": (Member(loss=Loss(bce=0.5, dice=0.5)), (2, 3, 8, 10)),
    "softmax": (softmax_member(1.0, 1.0), (2, 3, 8, 10)),
    "gate": (Member(role="gate", network=CLASSIFIER), (4, 1)),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_each_logit_learns_and_a_step_against_the_gradient_lowers_the_loss(kind: str) -> None:
    member, shape = MEMBERS[kind]
    loss = make_loss(member, shape[1])
    logits, targets = seeded(*shape, seed=2)
    targets = targets / targets.sum(1, keepdim=True) if kind == "softmax" else targets
    logits.requires_grad_()
    before: Any = loss(logits, targets)
    before.backward()
    assert bool((logits.grad != 0).all())
    with torch.no_grad():
        assert loss(logits - logits.grad, targets) < before


@pytest.mark.parametrize("kind", MEMBERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_logits_that_are_very_sure_give_finite_losses(
    kind: str, dtype: Any
) -> None:
    """Sums over a frame's pixels are beyond what a half can hold."""
    member, shape = MEMBERS[kind]
    shape = (*shape[:2], 400, 400) if len(shape) == 4 else shape
    logits = torch.full(shape, 60.0, dtype=dtype)
    logits[:, 0] = -60.0
    logits.requires_grad_()
    targets = torch.zeros(shape)
    targets[:, 0] = 1.0
    found: Any = make_loss(member, shape[1])(logits, targets)
    found.backward()
    found = found.detach()
    assert math.isfinite(float(found))
    assert bool(logits.grad.isfinite().all())
    exact = make_loss(member, shape[1])(logits.detach().float(), targets)
    assert float(found) == pytest.approx(float(exact), rel=1e-2)


def test_logits_that_were_cut_out_of_larger_ones_give_the_same_loss() -> None:
    """As images come whose sides are no multiples; memory then has gaps."""
    for kind in ("sigmoid", "softmax"):
        logits, targets = seeded(2, 3, 16, 16, seed=3)
        logits = logits.contiguous(memory_format=torch.channels_last)[..., :13, :11]
        targets = targets[..., :13, :11]
        loss = make_loss(MEMBERS[kind][0], 3)
        assert float(loss(logits, targets)) == pytest.approx(
            float(loss(logits.contiguous(), targets.contiguous()))
        )


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0,) * 4])
def test_class_weights_for_another_number_of_classes_are_refused(
    weights: tuple[float, ...],
) -> None:
    words = f"has {len(weights)} numbers; this data needs 3: the background's, then one for each"
    with pytest.raises(ConfigError, match=words):
        make_loss(softmax_member(1.0), 3, weights)


def test_balanced_weights_are_heavier_the_rarer_a_class_is_and_1_in_the_mean() -> None:
    shares = np.array([0.97, 0.02, 0.01, 0.0])
    weights = balanced_weights(shares)
    assert sorted(weights) == list(weights)
    assert sum(weights) / 4 == pytest.approx(1.0, abs=1e-5)
    assert weights[2] / weights[0] == pytest.approx(math.log(1.99) / math.log(1.03), rel=1e-4)
