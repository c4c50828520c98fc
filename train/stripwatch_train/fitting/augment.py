"""Random changes of images and masks in training, with torchvision's transforms.

An image and its masks are planes of one stack, uint8 [1 + classes, lines, pixels] with masks of 0
to 255, so that a geometric change moves all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from stripwatch_train.runs.recipe import Augmentation

DROPOUT_LINES_MAX = 4  # in a row; with more, the daemon counts a lost frame


def seed_of(*numbers: int) -> int:
    """One seed for torch, 0 <= seed < 2**63, of several numbers that are 0 or more."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0]) >> 1


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed torch's default generator with these numbers; afterwards its state is restored.

    A sample is then changed in the same way whichever process loads it, and in which order
    (ADR 13).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*numbers))
        yield


def uniform() -> float:
    """A random number, 0 <= x < 1."""
    return float(torch.rand(()))


def randint(low: int, high: int) -> int:
    """A random integer from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, ()))


def geometric(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """The random changes of a whole stack: flips and turns."""
    steps: list[Callable[[Tensor], Tensor]] = [
        v2.RandomVerticalFlip(settings.flip_lines),
        v2.RandomHorizontalFlip(settings.flip_pixels),
    ]
    if settings.turn:
        steps.append(v2.RandomApply([Turn()], settings.turn))
    return _chain(steps)


def photometric(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """The random changes of an image alone, uint8 [1, lines, pixels]: light, noise, lost lines."""
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


class Turn(v2.Transform):  # type: ignore[misc]
    """Lines become pixels; with flips, a quarter turn."""

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Transpose."""
        del params
        return inpt.transpose(-2, -1).contiguous()


class DropLines(v2.Transform):  # type: ignore[misc]
    """A few consecutive scan lines turn black or repeat the line before: a stuttering camera."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw which lines are dropped, and how."""
        lines = max(2, flat_inputs[0].shape[-2])
        count = randint(1, min(DROPOUT_LINES_MAX, lines - 1))
        first = randint(1, lines - count)
        return {"first": first, "end": first + count, "black": uniform() < 0.5}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Drop the lines."""
        image = inpt.clone()
        first, end = params["first"], params["end"]
        image[..., first:end, :] = 0 if params["black"] else image[..., first - 1 : first, :]
        return image
