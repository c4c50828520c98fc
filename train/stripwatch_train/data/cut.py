"""Images and masks cut into frames of one size, as a line takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch_train.data.formats.coco_writer import LabelledImage
from stripwatch_train.data.samples import Sample, image_name

Pixels = NDArray[np.uint8]


class Cutter:
    """Cuts images; where they are smaller than a frame, black is added below and right.

    Black is what a camera sees beside the strip; it has no defects.
    """

    def __init__(self, frame_shape: tuple[int, int]) -> None:
        """`frame_shape`: lines, pixels."""
        self._lines, self._pixels = frame_shape
        self._written: set[str] = set()

    def frames(self, sample: Sample, pixels: Pixels, mask: Pixels) -> Iterator[LabelledImage]:
        """The frames of an image (uint8 [lines, pixels]) and its mask, by rows.

        Frames of one image form a group. An image of the frame's size stays the file that it is.

        Raises:
            ConfigError: two images differ after the last dot of their names only.
        """
        lines, width = pixels.shape
        name = PurePosixPath(image_name(sample))
        if (lines, width) == (self._lines, self._pixels):
            file = sample.image.read_bytes()
            yield LabelledImage(self._new(sample, str(name)), file, mask, sample.group)
            return
        missing = ((0, 0), (0, -lines % self._lines), (0, -width % self._pixels))
        planes = np.pad(np.stack([pixels, mask]), missing)
        is_cut = lines > self._lines or width > self._pixels
        for top in range(0, lines, self._lines):
            for left in range(0, width, self._pixels):
                part = planes[:, top : top + self._lines, left : left + self._pixels]
                place = f"-{top:05d}-{left:05d}" if is_cut else ""
                own = self._new(sample, str(name.with_name(f"{name.stem}{place}.png")))
                _, data = cv2.imencode(".png", part[0])
                group = sample.group or (sample.name if is_cut else "")
                yield LabelledImage(own, data.tobytes(), part[1], group)

    def _new(self, sample: Sample, name: str) -> str:
        if name in self._written:
            raise ConfigError(f"{sample.image}: another image becomes {name}, too; rename one")
        self._written.add(name)
        return name
