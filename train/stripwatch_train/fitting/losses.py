"""Losses of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from segmentation_models_pytorch.losses import (
    MULTICLASS_MODE,
    MULTILABEL_MODE,
    DiceLoss,
    LovaszLoss,
)
from torch import Tensor
from torch.nn import functional

from stripwatch.errors import ConfigError
from stripwatch_train.runs.recipe import Member

LossFunction = Callable[[Tensor, Tensor], Tensor]


def make_loss(member: Member, outputs: int, weights: tuple[float, ...] = ()) -> LossFunction:
    """The loss of logits and targets of the same shape, [n, outputs, h, w] or [n, outputs].

    Targets are probabilities: 0 or 1, or between where a pixel is partly of a class or a teacher
    is not sure. With activation softmax they sum to 1 and begin with the background.

    Args:
        member: whose loss it is.
        outputs: how many the network has.
        weights: of cross_entropy, one for each output; () = all equal.

    Raises:
        ConfigError: weights are not one for each output.
    """
    loss = member.loss
    if member.role != "segmentation":
        return lambda logits, targets: loss.bce * _bce(logits, targets)
    softmax = member.activation == "softmax"
    if weights and len(weights) != outputs:
        raise ConfigError(
            f"loss.class_weights has {len(weights)} numbers; this data needs {outputs}: the "
            "background's, then one for each class"
        )
    weight = torch.tensor(weights) if weights else None
    dice = DiceLoss(MULTILABEL_MODE, from_logits=False, smooth=1.0)
    lovasz = LovaszLoss(MULTICLASS_MODE if softmax else MULTILABEL_MODE)

    def total(logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()  # sums over many pixels are too much for half precision
        parts = []
        if loss.bce:
            parts.append(loss.bce * _bce(logits, targets))
        if loss.cross_entropy:
            own = None if weight is None else weight.to(logits)
            parts.append(loss.cross_entropy * functional.cross_entropy(logits, targets, own))
        if loss.dice:  # of the classes; the background is none
            probability = logits.softmax(1)[:, 1:] if softmax else logits.sigmoid()
            parts.append(loss.dice * dice(probability, targets[:, 1:] if softmax else targets))
        if loss.lovasz:  # which takes no probabilities
            true = targets.argmax(1) if softmax else (targets >= 0.5).float()
            parts.append(loss.lovasz * lovasz(logits, true))
        return torch.stack(parts).sum()

    return total


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets)


def balanced_weights(shares: NDArray[np.float64]) -> tuple[float, ...]:
    """Weights of mean 1 that are larger where a class has fewer pixels.

    1 / ln(1.02 + share), after Paszke et al., "ENet", arXiv:1606.02147, section 5.2.

    Args:
        shares: of all pixels, float64 [background and classes].
    """
    weights = 1 / np.log(1.02 + shares)
    return tuple(np.round(weights / weights.mean(), 6).tolist())
