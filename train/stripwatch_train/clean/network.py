"""The network: an encoder with ImageNet's weights, and the distance from clean strip behind it.

It takes float32 [n, 1, h, w] and outputs a logit for each place of 8x8 pixels, [n, 1, h/8, w/8].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from stripwatch_train.clean.normal import Normal, Reals
from stripwatch_train.fitting.packaged_weights import packaged_weights

WEIGHTS = "efficientnet-lite0"
ENCODER = "tf_efficientnet_lite0"
LEVELS = (1, 2, 3)  # of the encoder: 24, 40 and 112 channels at a quarter, an 8th and a 16th
STAGES = 5  # of the encoder's seven: what is behind them knows objects, not surfaces
CELL_PX = 8
SQUARE_MIN = 1e-4  # below every distance that occurs; keeps the logarithm finite


class Encoder(nn.Module):
    """Features of places: three levels of the encoder side by side."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Build it with weights of ImageNet, by timm's names."""
        super().__init__()
        net: Any = timm.create_model(ENCODER, features_only=True, out_indices=LEVELS, in_chans=1)
        own = net.state_dict()
        grey = {"conv_stem.weight": weights["conv_stem.weight"].sum(dim=1, keepdim=True)}
        net.load_state_dict({name: (weights | grey)[name] for name in own})
        net.blocks = net.blocks[:STAGES]
        self.features = sum(net.feature_info.channels())
        self.net = net.eval().requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Features float32 [n, features, h/8, w/8] of images [n, 1, h, w]."""
        fine, middle, coarse = self.net(image)
        coarse = functional.interpolate(
            coarse, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return torch.cat([functional.avg_pool2d(fine, 2), middle, coarse], dim=1)


class Distance(nn.Module):
    """Squared distance of each place from clean strip, the mean over the features."""

    columns: Tensor
    lines: Tensor

    def __init__(self, normal: Normal) -> None:
        """Build it from the statistics."""
        super().__init__()
        count = len(normal.weights)
        # Divided here, squares stay small enough for float16.
        part = 1 / math.sqrt(count)
        self.whiten = nn.Conv2d(count, count, 1, bias=False)
        self.whiten.weight.data = _floats(normal.weights * part)[:, :, None, None]
        self.register_buffer("columns", _floats(normal.columns * part)[None, :, None, :])
        self.register_buffer("lines", _floats(normal.lines * part)[None, :, :, None])

    def forward(self, features: Tensor) -> Tensor:
        """Squares, float32 [n, 1, h, w]."""
        rest: Tensor = self.whiten(features) - self.columns - self.lines
        return (rest * rest).sum(dim=1, keepdim=True)


class CleanNetwork(nn.Module):
    """Image to logits: 0 at `limit`, and `steepness` for each e-fold of the distance."""

    offset: Tensor

    def __init__(
        self, encoder: Encoder, distance: Distance, scale: Reals, limit: float, steepness: float
    ) -> None:
        """Join the parts.

        Args:
            encoder: of images.
            distance: of their features.
            scale: expected squared distance of each place, [h, w].
            limit: the distance, in units of `scale`'s root, whose probability is 0.5.
            steepness: of the logit.
        """
        super().__init__()
        self.encoder, self.distance = encoder, distance
        self.gain = steepness / 2  # of the square
        self.register_buffer("offset", _floats(self.gain * np.log(scale * limit**2))[None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 [n, 1, h, w]."""
        squares: Tensor = self.distance(self.encoder(image))
        return self.gain * torch.log(squares + SQUARE_MIN) - self.offset


def pretrained_encoder() -> Encoder:
    """The encoder with ImageNet's weights, of the installed package.

    Raises:
        ConfigError: the package is missing; the message has the command that installs it.
    """
    return Encoder(packaged_weights(WEIGHTS, ENCODER))


def _floats(values: Reals) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
