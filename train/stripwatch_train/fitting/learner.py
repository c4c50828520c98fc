"""Lightning module: the training of one network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import lightning as pl
import torch
from torch import Tensor, nn

from stripwatch_train.fitting.augment import seed_of
from stripwatch_train.fitting.losses import make_loss
from stripwatch_train.fitting.networks import make_network
from stripwatch_train.runs.recipe import Member, Optimizer

Batch = tuple[Tensor, Tensor]
FOUND = 0.5  # probability from which training's own score counts a pixel as found

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "radam": torch.optim.RAdam,
    "sgd": lambda groups, **options: torch.optim.SGD(
        groups, momentum=0.9, nesterov=True, **options
    ),
}


class Learner(pl.LightningModule):
    """A network, its loss, its optimizer and its score on the validation frames."""

    def __init__(
        self,
        member: Member,
        outputs: int,
        names: tuple[str, ...],
        weights: tuple[float, ...],
        steps: int,
        seed: int,
    ) -> None:
        """`names` are the scored outputs: the classes, or `defect` for a gate."""
        super().__init__()
        self._member = member
        self._names = names
        self._steps = steps
        self._seed = seed
        # Convolutions are faster in channels-last layout on CPUs and tensor cores.
        self.network = make_network(member.network, outputs).to(memory_format=torch.channels_last)
        self._loss = make_loss(member, outputs, weights)
        self._counts = torch.zeros(0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of a batch."""
        # Dropout must not depend on whether the run was interrupted before (ADR 13).
        torch.manual_seed(seed_of(self._seed, self.current_epoch, index, self.global_rank))
        images, targets = batch
        loss = self._loss(self(images), targets)
        self.log(
            "loss",
            loss,
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
            batch_size=len(images),
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self._counts = torch.zeros(len(self._names), 3, device=self.device, dtype=torch.float64)

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Count true positives, found and true: pixels of segmenters, frames of classifiers."""
        images, targets = batch
        logits = self(images)
        loss = self._loss(logits, targets)
        self.log("validation_loss", loss, sync_dist=True, batch_size=len(images))
        if self._member.activation == "softmax":
            probability, targets = logits.softmax(1)[:, 1:], targets[:, 1:]
        else:
            probability = logits.sigmoid()
        found, true = probability >= FOUND, targets >= FOUND
        across = [0, *range(2, found.ndim)]
        parts = [found & true, found, true]
        self._counts += torch.stack([part.sum(across) for part in parts], dim=1)

    def on_validation_epoch_end(self) -> None:
        """Dice of each class over all validation frames, and their mean as the score."""
        counts = self.trainer.strategy.reduce(self._counts, reduce_op="sum")
        assert isinstance(counts, Tensor)
        dice = {
            name: 2 * both / (found + true)
            for name, (both, found, true) in zip(self._names, counts.tolist(), strict=True)
            if found + true
        }
        score = math.fsum(dice.values()) / len(dice) if dice else 1.0
        # Equal in all processes by now.
        self.log("score", score, prog_bar=True, sync_dist=True)
        self.log_dict({f"dice.{name}": value for name, value in dice.items()}, sync_dist=True)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many unions
        """The optimizer and the schedule of the learning rate."""
        settings = self._member.optimizer
        make = _OPTIMIZERS[settings.kind]
        groups = list(_parameter_groups(self.network, settings))
        optimizer = make(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_at(step, self._steps, settings)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def rate_at(step: int, steps: int, settings: Optimizer) -> float:
    """The share of the learning rate at a step: linear warm-up, flat, cosine down to 0."""
    warm_up, flat = settings.warm_up * steps, settings.flat * steps
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    if step < warm_up + flat:
        return 1.0
    done = (step - warm_up - flat) / max(1.0, steps - warm_up - flat)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def average(mean: Tensor, value: Tensor, count: Tensor | int, decay: float) -> Tensor:
    """The moving average of weights, with a lower decay during the first steps."""
    if not mean.dtype.is_floating_point:  # batch normalization counts its batches
        return value
    number = float(count)
    return torch.lerp(mean, value, 1 - min(decay, (number + 1) / (number + 10)))


def _parameter_groups(network: nn.Module, settings: Optimizer) -> Iterator[dict[str, Any]]:
    """The encoder, where it has its own learning rate, and the rest."""
    if settings.encoder_learning_rate is None:
        yield {"params": list(network.parameters())}
        return
    rest = list(_behind_the_encoder(network))
    others = set(rest)
    own = [value for value in network.parameters() if value not in others]
    yield {"params": own, "lr": settings.encoder_learning_rate}
    yield {"params": rest}


def _behind_the_encoder(network: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of a decoder, or of a classifier's last layer; all where neither is."""
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        inside = set(encoder.parameters())
        yield from (value for value in network.parameters() if value not in inside)
    elif last := getattr(network, "get_classifier", None):  # as timm calls it
        yield from last().parameters()
    else:
        yield from network.parameters()
