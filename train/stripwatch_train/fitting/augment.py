"""How training changes images and masks by chance, with torchvision's transforms.

An image and its masks are planes of one stack, uint8 [1 + classes, lines, pixels] with masks of 0
to 255, so that whatever moves pixels moves all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from stripwatch_train.fitting.recipe import Augmentation

DROPOUT_LINES_MAX = 4  # in a row; more is a lost frame, which the daemon counts by itself


@contextmanager
def chance_of(*numbers: int) -> Iterator[None]:
    """Within it, torch's chance depends on these numbers alone; afterwards it is as it was.

    So a sample is changed in the same way whichever process loads it, and in which order.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(hash(numbers) % 2**63)
        yield


def chance() -> float:
    """From 0 to 1."""
    return float(torch.rand(()))


def between(low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, ()))


def moving(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """What changes a whole stack."""
    flips = [
        v2.RandomVerticalFlip(settings.flip_lines),
        v2.RandomHorizontalFlip(settings.flip_pixels),
    ]
    return _chain(flips)


def lighting(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """What changes an image alone, uint8 [1, lines, pixels]."""
    steps: list[Callable[[Tensor], Tensor]] = []
    if settings.gain or settings.contrast:
        steps.append(v2.ColorJitter(brightness=settings.gain, contrast=settings.contrast))
    if settings.noise:
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.GaussianNoise(sigma=settings.noise),
            v2.ToDtype(torch.uint8, scale=True),
        ]
    if settings.dropout_lines:
        steps.append(v2.RandomApply([DropLines()], settings.dropout_lines))
    return _chain(steps)


def _chain(steps: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    chain: Callable[[Tensor], Tensor] = v2.Compose(steps) if steps else v2.Identity()
    return chain


class DropLines(v2.Transform):  # type: ignore[misc]
    """Some scan lines in a row are black, or repeat the line before, as when a camera stutters."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Which lines, and how."""
        lines = max(2, flat_inputs[0].shape[-2])
        count = between(1, min(DROPOUT_LINES_MAX, lines - 1))
        first = between(1, lines - count)
        return {"first": first, "end": first + count, "black": chance() < 0.5}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Drop them."""
        image = inpt.clone()
        first, end = params["first"], params["end"]
        image[..., first:end, :] = 0 if params["black"] else image[..., first - 1 : first, :]
        return image
