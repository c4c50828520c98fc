"""What training minimizes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from segmentation_models_pytorch.losses import MULTILABEL_MODE, DiceLoss
from torch import Tensor
from torch.nn import functional

from stripwatch.errors import ConfigError
from stripwatch_train.recipe import Loss, Member

LossFunction = Callable[[Tensor, Tensor], Tensor]


def make_loss(member: Member, outputs: int) -> LossFunction:
    """The loss of logits and targets of the same shape, [n, outputs, h, w] or [n, outputs].

    Targets are probabilities: 0 or 1, or between where a pixel is partly of a class or a teacher
    is not sure. With activation softmax they sum to 1 and begin with the background.

    Raises:
        ConfigError: class weights are not one for each output.
    """
    loss = member.loss
    if member.role != "segmentation":
        return lambda logits, targets: loss.bce * _bce(logits, targets)
    softmax = member.activation == "softmax"
    weights = _class_weights(loss, outputs)
    dice = DiceLoss(MULTILABEL_MODE, from_logits=False, smooth=1.0)

    def total(logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()  # sums over many pixels are too much for half precision
        parts = []
        if loss.bce:
            parts.append(loss.bce * _bce(logits, targets))
        if loss.cross_entropy:
            moved = weights.to(logits) if weights is not None else None
            parts.append(loss.cross_entropy * functional.cross_entropy(logits, targets, moved))
        if loss.dice:  # of the classes; the background is none
            probability = logits.softmax(1)[:, 1:] if softmax else logits.sigmoid()
            parts.append(loss.dice * dice(probability, targets[:, 1:] if softmax else targets))
        return torch.stack(parts).sum()

    return total


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets)


def _class_weights(loss: Loss, outputs: int) -> Tensor | None:
    if not loss.class_weights:
        return None
    if len(loss.class_weights) != outputs:
        raise ConfigError(
            f"loss.class_weights has {len(loss.class_weights)} numbers; this data needs {outputs}: "
            "the background's, then one for each class"
        )
    return torch.tensor(loss.class_weights)
