"""The clean frames: found, checked, and divided into those to learn from and those held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_train.data.data_set import find_data_set
from stripwatch_train.data.formats.mask_folder import IMAGE_FOLDER, MASK_FOLDERS
from stripwatch_train.data.images import image_files, image_shape, load_image
from stripwatch_train.data.masks import classes_of
from stripwatch_train.data.samples import Sample

FRAMES_MIN = 20
# Neighbours on one strip are alike, so whole stretches of frames are held out, at several times.
STRETCHES = 10
HELD_OUT = (2, 5, 8)  # of the stretches
HELD_OUT_SHARE = len(HELD_OUT) / STRETCHES
SIDE_MIN = 32
SIDE_MULTIPLE = 16  # the encoder halves the image four times
MEAN, STD = 0.5, 0.5  # of pixels as 0 to 1; the encoder learned ImageNet with these


@dataclass(frozen=True, slots=True)
class CleanFrames:
    """Frames without defects, all of one size, in the order of their names."""

    shape: tuple[int, int]  # lines, pixels
    training: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    findings: tuple[str, ...] = ()  # a sentence each

    @property
    def image_shape(self) -> tuple[int, int]:
        """Lines, pixels of the network's input: the frame, continued to whole steps."""
        lines, pixels = (-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in self.shape)
        return lines, pixels


def find_clean_frames(
    path: Path, classes: Sequence[str] | None = None, progress: Progress = lambda *_: None
) -> CleanFrames:
    """The frames in a folder, or those of a data set that its labels call clean.

    Args:
        path: a folder of frames and of nothing else, or a data set in any layout.
        classes: names of the data set's classes, as `open_data_set` takes them.
        progress: called for each frame whose labels are read.

    Raises:
        ConfigError: there are no frames, too few, small ones or ones of several sizes; or labels
            cannot be read, or call no frame clean.
    """
    inside = path.name == IMAGE_FOLDER and any(
        (path.parent / name).is_dir() for name in MASK_FOLDERS
    )
    data_set = find_data_set(path.parent if inside else path, classes)
    if data_set is None:
        found = [Sample(str(file.relative_to(path)), file, None) for file in image_files(path)]
        findings: tuple[str, ...] = ()
    else:
        found = []
        for done, sample in enumerate(data_set.samples):
            progress("labels read", done, len(data_set.samples))
            if not classes_of(sample):
                found.append(sample)
        found.sort(key=lambda sample: sample.name)
        findings = data_set.findings + _left_out(path, len(data_set.samples), len(found))
    if len(found) < FRAMES_MIN:
        raise ConfigError(
            f"{path}: holds {len(found)} clean frames; give {FRAMES_MIN} or more, of several coils "
            "and hundreds where you can"
        )
    shape = _one_shape(path, found)
    stretches = np.array_split(np.arange(len(found)), STRETCHES)
    held = {int(index) for number in HELD_OUT for index in stretches[number]}
    training = tuple(sample for index, sample in enumerate(found) if index not in held)
    return CleanFrames(shape, training, tuple(found[index] for index in sorted(held)), findings)


def load_input(sample: Sample, frames: CleanFrames) -> Tensor:
    """A frame as the network takes it, float32 [1, 1, h, w].

    Raises:
        ConfigError: the image cannot be used.
    """
    return network_input(load_image(sample), frames)


def network_input(pixels: NDArray[np.uint8], frames: CleanFrames) -> Tensor:
    """Pixels, uint8 [lines, pixels], as the network takes them; padded as engines pad."""
    lines, width = (
        (0, long - short) for long, short in zip(frames.image_shape, frames.shape, strict=True)
    )
    image = torch.from_numpy(np.pad(pixels, (lines, width), mode="edge"))
    return image[None, None].float().div(255).sub(MEAN).div(STD)


def _left_out(path: Path, frames: int, clean: int) -> tuple[str, ...]:
    if not clean:
        raise ConfigError(f"{path}: its labels mark a defect on all of the {frames} frames")
    if clean == frames:
        return ()
    left_out = f"{frames - clean} of {frames} frames are not clean by their labels"
    return (f"{path}: {left_out}, and are left out",)


def _one_shape(path: Path, found: Sequence[Sample]) -> tuple[int, int]:
    shapes = [image_shape(sample.image) for sample in found]
    counts = Counter(shapes).most_common()
    (lines, pixels), most = counts[0]
    if len(counts) > 1:
        other = next(index for index, shape in enumerate(shapes) if shape != (lines, pixels))
        raise ConfigError(
            f"{path}: frames have {len(counts)} sizes: {most} of {lines}x{pixels}, and "
            f"{found[other].name} has {shapes[other][0]}x{shapes[other][1]}; give the frames of "
            "one camera, all of its size"
        )
    if min(lines, pixels) < SIDE_MIN:
        raise ConfigError(
            f"{path}: frames of {lines}x{pixels}; give frames of {SIDE_MIN} lines and pixels or "
            "more"
        )
    return lines, pixels
