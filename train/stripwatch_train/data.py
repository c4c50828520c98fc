"""Training batches cut from synthetic strips."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stripwatch.synthetic import CLASSES, SyntheticFrame, SyntheticStrip
from stripwatch_train.settings import FitSettings

TRAINING_SEEDS = 1_000_000  # strips with seeds from here on are for training, below for evaluation
FRAMES_PER_STRIP = 24  # then comes a strip of other light and texture
DEFECT_CROPS = 0.75  # share of crops that are put over a defect where the frame has one

Batch = tuple[torch.Tensor, torch.Tensor]
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def training_batches(settings: FitSettings) -> Iterator[Batch]:
    """Endless batches: images float32 [n, 1, h, w], targets (0 or 1) [n, classes, h, w]."""
    generator = np.random.default_rng(settings.seed)
    frames = _frames(settings, generator)
    while True:
        crops = [_crop(next(frames), settings, generator) for _ in range(settings.batch)]
        images = np.stack([image for image, _ in crops])
        targets = np.stack([target for _, target in crops])
        yield torch.from_numpy(images), torch.from_numpy(targets)


def shrink(frame: SyntheticFrame, settings: FitSettings) -> Pair:
    """A frame as the model sees it: image float32 [1, h, w], target float32 [classes, h, w]."""
    lines, pixels = settings.frame_shape
    size = (pixels // settings.shrink, lines // settings.shrink)
    small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
    image = (np.asarray(small, np.float32) / 255 - settings.mean) / settings.std
    target = np.zeros((len(CLASSES), size[1], size[0]), np.float32)
    for plane, entry in zip(target, CLASSES, strict=True):
        full = (frame.mask >> (entry.id - 1) & 1) * np.uint8(255)
        if full.any():
            plane[:] = cv2.resize(full, size, interpolation=cv2.INTER_AREA) >= 128
    return image[None].astype(np.float32), target


def _frames(settings: FitSettings, generator: np.random.Generator) -> Iterator[Pair]:
    while True:
        seed = TRAINING_SEEDS + int(generator.integers(1_000_000_000))
        strip = SyntheticStrip(seed, settings.frame_shape, settings.defects_per_1000_lines)
        first = int(generator.integers(1_000_000))
        for index in range(first, first + FRAMES_PER_STRIP):
            yield shrink(strip.frame(index), settings)


def _crop(frame: Pair, settings: FitSettings, generator: np.random.Generator) -> Pair:
    """A crop of full height, flipped and lit by chance."""
    image, target = frame
    width = min(settings.crop_width, image.shape[2])
    left = int(generator.integers(image.shape[2] - width + 1))
    columns = np.flatnonzero(target.any(axis=(0, 1)))
    if len(columns) and generator.random() < DEFECT_CROPS:
        wanted = int(generator.choice(columns)) - int(generator.integers(width))
        left = min(max(wanted, 0), image.shape[2] - width)
    image, target = image[:, :, left : left + width], target[:, :, left : left + width]
    for axis in (1, 2):  # a strip may run the other way, and a camera may look mirrored
        if generator.random() < 0.5:
            image, target = np.flip(image, axis), np.flip(target, axis)
    gain, offset = generator.uniform(0.8, 1.2), generator.uniform(-0.3, 0.3)
    return (
        np.ascontiguousarray(image * np.float32(gain) + np.float32(offset)),
        np.ascontiguousarray(target),
    )
