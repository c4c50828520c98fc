"""Statistics of clean strip: a mean for each column and line, and one covariance.

After PaDiM (Defard et al., ICPR 2021): the features of a place are normally distributed, and a
place is as unusual as its Mahalanobis distance from its mean. PaDiM keeps a mean and a covariance
for each pixel. A strip is the same along its length, so here a mean belongs to a column; lines
differ only by where the camera cuts frames, as the encoder pads them there. ADR 37 has the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Floats = NDArray[np.float32]

PRIOR_FRAMES = 4  # a column's mean counts as little as so many frames of the whole strip's
SHRINK = 0.01  # share of the identity in the correlation, as 0.01 in PaDiM's covariance
SPREAD_MIN = 1e-3  # of a channel, as a share of the largest
# Of a column's scale, as a share of the strip's: where frames are black beside the strip nothing
# varies, and any noise would be an alarm.
SCALE_MIN = 0.25


@dataclass(frozen=True, slots=True)
class Normal:
    """What whitens features: `weights` @ x - `columns` - `lines` has variance 1."""

    weights: Reals  # [features, features]
    columns: Reals  # [features, w]
    lines: Reals  # [features, h]


class Moments:
    """Sums over frames, from which `Normal` is computed; memory does not grow with them."""

    def __init__(self, features: int, shape: tuple[int, int]) -> None:
        """Begin with no frames.

        Args:
            features: of a place.
            shape: h, w of the feature maps.
        """
        self._frames = 0
        self._shape = shape
        self._columns = np.zeros((features, shape[1]))
        self._lines = np.zeros((features, shape[0]))
        self._squares = np.zeros((features, features))

    def add(self, found: Floats) -> None:
        """Add the features of a frame, [features, h, w]."""
        self._frames += 1
        self._columns += found.mean(axis=1)
        self._lines += found.mean(axis=2)
        flat = found.reshape(len(found), -1)
        self._squares += (flat @ flat.T) / flat.shape[1]

    def normal(self) -> Normal:
        """The statistics of the frames so far."""
        centre = self._columns.mean(axis=1) / self._frames
        columns = self._columns / self._frames - centre[:, None]
        lines = self._lines / self._frames - centre[:, None]
        own = columns * (self._frames / (self._frames + PRIOR_FRAMES))
        rest = self._squares / self._frames - np.outer(centre, centre)
        rest -= _explained(columns, own) + _explained(lines, lines)
        spread = np.sqrt(np.maximum(np.diag(rest), 0))
        spread = np.maximum(spread, max(SPREAD_MIN * float(spread.max()), 1e-6))
        correlation = rest / np.outer(spread, spread)
        correlation = (1 - SHRINK) * correlation + SHRINK * np.eye(len(spread))
        weights = np.linalg.inv(np.linalg.cholesky(correlation)) / spread
        return Normal(weights, weights @ (own + centre[:, None]), weights @ lines)


def _explained(found: Reals, used: Reals) -> Reals:
    """What the covariance loses where `used` is taken off instead of the means `found`."""
    cross = found @ used.T
    part: Reals = (cross + cross.T - used @ used.T) / found.shape[1]
    return part


class Scales:
    """How far clean places lie from their means, by column and line: edges vary more."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Begin with no frames of h, w places."""
        self._frames = 0
        self._columns = np.zeros(shape[1])
        self._lines = np.zeros(shape[0])

    def add(self, squares: Floats) -> None:
        """Add the squared distances of a frame, [h, w]."""
        self._frames += 1
        self._columns += squares.mean(axis=0)
        self._lines += squares.mean(axis=1)

    def scale(self) -> Reals:
        """The expected squared distance of each place, [h, w]; a column's is shrunk as its mean."""
        columns, lines = self._columns / self._frames, self._lines / self._frames
        whole = float(columns.mean())
        share = self._frames / (self._frames + PRIOR_FRAMES)
        columns = np.maximum(share * columns + (1 - share) * whole, SCALE_MIN * whole)
        return np.maximum(np.outer(lines, columns) / max(whole, 1e-12), 1e-6)
