"""Frames of a strip that looks different in each: for training on more than one kind of steel.

The defects are those of the synthetic strip, drawn harder or softer, on a surface, in light and
with harmless marks that `stripwatch.synthetic` does not have. Only defects are in the mask.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stripwatch.synthetic import SyntheticFrame, SyntheticStrip
from stripwatch_train.data.varied.camera import cut_edges, exposed, padded
from stripwatch_train.data.varied.marks import add_marks
from stripwatch_train.data.varied.noise import Image, blurred, log_uniform
from stripwatch_train.data.varied.patterns import pattern
from stripwatch_train.data.varied.steel import light, surface

Mask = NDArray[np.uint8]

PLAIN_LEVEL = 105.0  # grey, of the synthetic strip: its defects' contrasts are meant for it
# A defect differs from the steel by this many deviations of the steel around it, or more; what
# does not is no defect that a mask can ask for.
CLEAR = 3.5
CONTRAST_MAX = 4.0  # times the synthetic strip's; where that is not clear, none is drawn
DARK = 12.0  # grey: on darker steel no defect is drawn
_KEY = 0x7A61  # of the random generators


class VariedStrip:
    """A strip that is determined by its seed; every frame shows other steel and other light."""

    def __init__(
        self,
        seed: int,
        frame_shape: tuple[int, int] = (256, 1600),
        defects_per_1000_lines: float = 2.0,
    ) -> None:
        """Prepare its defects.

        Args:
            seed: of the random generators; the same seed gives the same strip.
            frame_shape: lines, pixels of a frame.
            defects_per_1000_lines: on average; 0 for a clean strip. Some are not drawn: those
                beyond the strip's edges, and those that the steel hides.
        """
        self.seed = seed
        self.frame_shape = frame_shape
        self._strip = SyntheticStrip(seed, frame_shape, defects_per_1000_lines)

    def frame(self, index: int) -> SyntheticFrame:
        """Frame `index`: uint8 pixels and mask, both [lines, pixels]."""
        random = np.random.default_rng([self.seed, _KEY, index])
        image = light(random, self.frame_shape)
        lit = image.copy()
        image *= surface(random, self.frame_shape)
        rolled = pattern(random, self.frame_shape)
        if rolled is not None:
            image *= rolled
        add_marks(random, image)
        mask = self._add_defects(image, lit, index)  # above the marks: paint hides none
        mask *= cut_edges(random, image).astype(np.uint8)
        pixels = exposed(random, image)
        padded(random, pixels, mask)
        return SyntheticFrame(pixels, mask)

    def _add_defects(self, image: Image, lit: Image, index: int) -> Mask:
        """Draw the frame's defects into the image; returns their mask.

        Args:
            image: grey levels, changed in place.
            lit: grey levels of plain steel in this light.
            index: of the frame.
        """
        # Numbers of their own: a clean strip of the same seed shows the same steel.
        random = np.random.default_rng([self.seed, _KEY, index, 1])
        first = index * self.frame_shape[0]
        mask = np.zeros(self.frame_shape, np.uint8)
        rough = _roughness(image)
        crisp = log_uniform(random, 0.15, 1.6)
        drawn = np.zeros(self.frame_shape, np.float32)
        for defect in self._strip.defects(first, first + self.frame_shape[0]):
            change = np.zeros(self.frame_shape, np.float32)
            area = np.zeros(self.frame_shape, np.uint8)
            defect.draw(change, area, first)
            inside = change != 0
            if not inside.any():
                continue
            level = float(lit[inside].mean())
            scale = level / PLAIN_LEVEL
            if area.any():
                scale *= log_uniform(random, 0.8, 1.6)
                contrast = float(np.abs(change[area > 0]).mean())
                scale = max(scale, CLEAR * float(np.median(rough[area > 0])) / contrast)
                if scale > CONTRAST_MAX or level < DARK:
                    continue
            drawn += scale * change
            mask |= area
        image += blurred(drawn, crisp)
        return mask


def _roughness(image: Image) -> Image:
    """Deviation of grey levels around each pixel, at the scales of defects."""
    smooth = [blurred(image, sigma) for sigma in (2, 10, 40)]
    details = [fine - coarse for fine, coarse in pairwise(smooth)]
    return np.sqrt(blurred(np.max(np.square(details), axis=0), 30))
