"""U-Nets without a pretrained encoder, and a wrapper for images of any size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

Level = Callable[[int, int], nn.Module]  # of so many channels, to so many


class PlainUnet(nn.Module):
    """A U-Net without a pretrained encoder: Ronneberger et al., arXiv:1505.04597, padded.

    Residual, each level's two convolutions learn what to add: Zhang, Liu and Wang, "Road Extraction
    by Deep Residual U-Net", arXiv:1711.10684. Additive, a level joins what comes down and what
    comes up by adding them, which halves the cost of its first convolution: Chaurasia and
    Culurciello, "LinkNet", arXiv:1707.03718.
    """

    def __init__(self, outputs: int, channels: tuple[int, ...], kind: str) -> None:
        """`channels`: of the levels, shallowest first; `kind`: vanilla-, additive- or residual-."""
        super().__init__()
        level: Level = _ResidualLevel if kind == "residual-unet" else _PlainLevel
        first = partial(_ResidualLevel, of_image=True) if kind == "residual-unet" else level
        pairs = list(pairwise(channels))
        self.adds = kind == "additive-unet"
        self.first = first(1, channels[0])
        self.down = nn.ModuleList(level(above, below) for above, below in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, above, 2, 2) for above, below in pairs)
        self.join = nn.ModuleList(
            level(above if self.adds else 2 * above, above) for above, _ in pairs
        )
        self.head = nn.Conv2d(channels[0], outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        x = self.first(image)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(nn.functional.max_pool2d(x, 2))
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            skip, x = skips.pop(), up(x)
            x = join(skip + x if self.adds else torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(x)
        return logits


class _PlainLevel(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _ResidualLevel(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, of_image: bool = False) -> None:
        super().__init__()
        # Directly on an image, ReLU would remove everything darker than the mean.
        before = [] if of_image else [nn.BatchNorm2d(inputs), nn.ReLU()]
        self.body = nn.Sequential(
            *before,
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.shortcut(x) + self.body(x)
        return result


class AnySize(nn.Module):
    """A segmentation network for images whose sides are no multiples of its stride.

    Below and right the image is padded with its last line and pixel; the output is cropped to it.
    """

    def __init__(self, inner: nn.Module, multiple: int) -> None:
        """`multiple`: of which the sides of what `inner` takes must be."""
        super().__init__()
        self.inner = inner
        self.multiple = multiple

    @property
    def encoder(self) -> nn.Module | None:
        """The encoder of the network, where it has one."""
        return getattr(self.inner, "encoder", None)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        lines, pixels = image.shape[-2:]
        below, right = -lines % self.multiple, -pixels % self.multiple
        if not (below or right):  # a cut of nothing would stay in the exported graph
            whole: Tensor = self.inner(image)
            return whole
        padded = nn.functional.pad(image, (0, right, 0, below), mode="replicate")
        logits: Tensor = self.inner(padded)
        return logits[..., :lines, :pixels]
