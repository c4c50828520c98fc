"""Frames and masks as training takes them: cropped, changed at random, scaled down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as image_functional

from stripwatch.errors import ConfigError
from stripwatch.wire.names import class_bit
from stripwatch_train.data.images import image_shape, load_image, opened
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import MaskFile, Sample
from stripwatch_train.fitting.augment import geometric, photometric, randint, seeded, uniform
from stripwatch_train.runs.recipe import Member

DEFECT = 128  # of 255: from here on a pixel counts as one of the class

Key = tuple[int, int, int]  # of a sample: index, epoch, position in it
Shape = tuple[int, int]  # lines, pixels
MaskPlanes = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """Input and output shapes of one model, and the scaling of its pixels."""

    member: Member
    frame_shape: Shape  # frames of other shapes are brought to it
    classes: int
    class_id: int | None  # the only class that it segments
    mean: float  # of pixels as 0 to 1
    std: float

    @property
    def outputs(self) -> int:
        """Channels of the network's output."""
        if self.member.role == "gate" or self.class_id is not None:
            return 1
        return self.classes + (self.member.activation == "softmax")

    @property
    def image_shape(self) -> Shape:
        """Lines, pixels of the network's image of a whole frame, rounded up."""
        lines, pixels = self.frame_shape
        shrink = self.member.images.shrink
        return -(-lines // shrink[0]), -(-pixels // shrink[1])

    @property
    def crop_shape(self) -> Shape:
        """Lines, pixels of the frame that a crop covers."""
        images, whole = self.member.images, self.image_shape
        lines, pixels = (
            min(side, limit) * factor
            for side, limit, factor in zip(images.crop or whole, whole, images.shrink, strict=True)
        )
        return lines, pixels


@dataclass(frozen=True, slots=True)
class FrameShapes:
    """Shapes of the frames of a data set."""

    chosen: Shape  # that all are brought to
    others: int  # frames of another one
    largest: Shape  # most lines and most pixels, perhaps of two frames
    distortion: float  # how much one side grows or shrinks more than the other, at most; 1 = none


def frame_shapes(samples: Sequence[Sample]) -> FrameShapes:
    """The shapes of frames: chosen is that of half of them or more, else of medians of the sides.

    Raises:
        ConfigError: an image cannot be opened, or its mask is of another shape.
    """
    counted: Counter[Shape] = Counter()
    for sample in samples:
        shape = image_shape(sample.image)
        counted[shape] += 1
        if isinstance(sample.masks, MaskFile) and image_shape(sample.masks.path) != shape:
            raise ConfigError(
                f"{sample.masks.path}: is not as large as {sample.image}; make the mask anew"
            )
    chosen, count = counted.most_common(1)[0]
    sides = [sorted(side) for side in zip(*counted.elements(), strict=True)]
    if 2 * count < len(samples):
        chosen = (median_low(sides[0]), median_low(sides[1]))
    ratios = [lines * chosen[1] / (pixels * chosen[0]) for lines, pixels in counted]
    return FrameShapes(
        chosen=chosen,
        others=len(samples) - counted[chosen],
        largest=(sides[0][-1], sides[1][-1]),
        distortion=max(max(ratio, 1 / ratio) for ratio in ratios),
    )


class FrameDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images float32 [1, h, w] and targets float32, [outputs, h, w] or [outputs].

    A key of epoch -1 gives the whole frame as it is, any other a crop with random changes.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        view: View,
        seed: int,
        taught: Sequence[Path | None] = (),
    ) -> None:
        """`taught`: of each sample the file of a teacher's probabilities; None, () = no teacher.

        Raises:
            ConfigError: crops that are not square are to be turned.
        """
        lines, pixels = view.crop_shape
        if view.member.augmentation.turn and lines != pixels:
            raise ConfigError(
                f"augmentation.turn: crops of {lines} x {pixels} (lines x pixels) cannot be turned;"
                " give square ones, for example --set images.crop=[96,96]"
            )
        self._samples = samples
        self._view = view
        self._seed = seed
        self._taught = taught if view.member.loss.teacher else ()
        self._geometric = geometric(view.member.augmentation)
        self._photometric = photometric(view.member.augmentation)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """The image and the target of a key.

        Raises:
            ConfigError: an image, a mask or a teacher's file cannot be read.
        """
        index, epoch, position = key
        taught = self._taught[index] if self._taught and epoch >= 0 else None
        stack = self._stack(self._samples[index], taught)
        if epoch < 0:
            return self._example(stack[:1], stack[1:])
        with seeded(self._seed, epoch, position):
            stack = self._geometric(self._cut(stack))
            return self._example(self._photometric(stack[:1]), stack[1:])

    def _stack(self, sample: Sample, taught: Path | None) -> Tensor:
        """The image over its masks, uint8 [1 + classes, lines, pixels]; masks are 0 to 255."""
        view = self._view
        image = load_image(sample)
        shape = (image.shape[0], image.shape[1])
        mask = load_mask(sample, shape)
        ids = [view.class_id] if view.class_id else range(1, view.classes + 1)
        planes = np.stack([((mask & class_bit(c)) > 0) * np.uint8(255) for c in ids])
        if taught:
            planes = self._softened(taught, planes, [class_id - 1 for class_id in ids])
        stack = torch.from_numpy(np.concatenate([image[None], planes]))
        if shape != view.frame_shape:
            stack = _resize(stack, view.frame_shape)
        return stack

    def _softened(self, path: Path, planes: MaskPlanes, wanted: list[int]) -> MaskPlanes:
        """The planes mixed with the teacher's probabilities."""
        with opened(path, ("PNG",)) as file:
            probability = np.array(file).reshape(self._view.classes, *planes.shape[1:])[wanted]
        share = self._view.member.loss.teacher
        return np.rint(planes * (1 - share) + probability * share).astype(np.uint8)

    def _cut(self, stack: Tensor) -> Tensor:
        """A crop of the frame, stretched at random along the strip."""
        lines, pixels = self._view.crop_shape
        stretch = self._view.member.augmentation.stretch
        wide = min(pixels, stack.shape[2])
        high = min(round(lines * (1 + stretch * (2 * uniform() - 1))), stack.shape[1])
        on_defect = uniform() < self._view.member.images.on_defect
        left = self._start(stack[1:].amax(dim=(0, 1)), wide, on_defect=on_defect)
        columns = stack[1:, :, left : left + wide]
        top = self._start(columns.amax(dim=(0, 2)), high, on_defect=on_defect)
        stack = stack[:, top : top + high, left : left + wide]
        if (high, wide) == (lines, pixels):
            return stack
        return _resize(stack, (lines, pixels))

    @staticmethod
    def _start(covered: Tensor, length: int, *, on_defect: bool) -> int:
        """Start of a crop along one side, where `covered` is high over defects."""
        last = len(covered) - length
        places = (covered >= DEFECT).nonzero()[:, 0]
        if not (on_defect and len(places)):
            return randint(0, last)
        wanted = int(places[randint(0, len(places) - 1)]) - randint(0, length - 1)
        return min(max(wanted, 0), last)

    def _example(self, image: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        view = self._view
        small = self._smaller(image.float() / 255)
        target = self._smaller(planes.float() / 255)
        role = view.member.role
        if role != "segmentation":  # thin defects must survive the scaling
            target = (planes >= DEFECT).float().amax(dim=(1, 2))
            target = target.amax(dim=0, keepdim=True) if role == "gate" else target
        elif view.member.activation == "softmax":
            # Where classes overlap, their sum is over 1.
            total = target.sum(dim=0, keepdim=True)
            target = torch.cat([(1 - total).clamp(min=0), target]) / total.clamp(min=1)
        return (small - view.mean) / view.std, target

    def _smaller(self, planes: Tensor) -> Tensor:
        """Scale down as the inspection graph does: whole factors by averaging, else bilinear."""
        shrink = self._view.member.images.shrink
        lines, pixels = planes.shape[1:]
        size = (-(-lines // shrink[0]), -(-pixels // shrink[1]))
        if lines % size[0] == 0 and pixels % size[1] == 0:
            block = (lines // size[0], pixels // size[1])
            return functional.avg_pool2d(planes[None], block)[0]
        return functional.interpolate(planes[None], size, mode="bilinear")[0]


def _resize(stack: Tensor, shape: Shape) -> Tensor:
    resized: Tensor = image_functional.resize(stack, list(shape), antialias=True)
    return resized
