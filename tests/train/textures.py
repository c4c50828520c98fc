"""Frames of a textured surface, and data sets of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch_train.data.samples import DataSet, Masks, RunMasks, Sample, make_classes

SHAPE = (64, 96)
Picture = NDArray[np.uint8]


def texture(seed: int, shape: tuple[int, int] = SHAPE) -> Picture:
    """Blotches, as of a surface, under uneven light and with stripes along."""
    generator = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(generator.standard_normal(shape), (0, 0), 3.0)
    light = np.linspace(60, 140, shape[1])[None] + generator.uniform(-20, 20, (1, shape[1]))
    return np.clip(light + 90 * grain, 0, 255).astype(np.uint8)


def data_set(folder: Path, pictures: list[Picture], groups: list[str] | None = None) -> DataSet:
    """Frames 0, 1, 2, ...; every third has class 1, every fifth class 2."""
    samples = []
    for index, pixels in enumerate(pictures):
        path = folder / f"{index}.jpg"
        cv2.imwrite(str(path), pixels)
        shape = (pixels.shape[0], pixels.shape[1])
        runs = tuple((c, "1 1") for c, every in ((1, 3), (2, 5)) if index % every == 0)
        masks: Masks = RunMasks(shape, "severstal", runs) if runs else None
        samples.append(Sample(str(index), path, masks, groups[index] if groups else ""))
    return DataSet(make_classes(folder, ["pits", "scale"]), tuple(samples), str(folder))
