"""The watch over the light while the strip runs: dirt lines, dark segments, level.

Frames are added up over blocks of some metres, so a defect of the strip weighs little, and what
is looked at is cheap. A fault is what lasts: it must be in every block of `metres` of strip, and it
ends when it is in none of as many. Steel differs from coil to coil, so only the shape across the
strip is judged closely; the level has a wide limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.light.profile import (
    Block,
    BlockSum,
    Profile,
    against_neighbours,
    column_means,
    strip_columns,
)
from stripwatch.camera.light.reference import LightReference, ReferenceSum
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Geometry
from stripwatch.wire.light import LIGHT_FAULTS_MAX, LightFault, LightFaults, LightKind

BLOCKS = 5  # in which a fault must be, one after the other
STAYS_SHARE = 0.6  # of a limit: an open fault stays above it, so that it does not flicker


@dataclass(slots=True)
class _Tracked:
    """A place across the strip where something is wrong."""

    fault: LightFault
    absent_m: float = 0.0


class LightWatch:
    """Watches one camera; `faults` is None until enough strip has passed to say anything."""

    def __init__(
        self,
        section: LightSection,
        geometry: Geometry,
        background_grey_max: int,
        reference: LightReference | None,
    ) -> None:
        """Continue with a reference, or learn one from the first metres."""
        self._section = section
        self._background_grey_max = background_grey_max
        self._m_per_line = geometry.mm_per_line / 1000
        self._segment_px = max(3, round(section.segment_mm / geometry.mm_per_pixel))
        pixels = geometry.frame_pixels
        self._sum = BlockSum(pixels)
        self._reference = ReferenceSum(pixels, reference)
        # Metres for which each column, and the level, has been wrong without a break.
        self._line_m = np.zeros(pixels)
        self._segment_m = np.zeros(pixels)
        self._level_m = {"dim": 0.0, "bright": 0.0}
        self._tracked: list[_Tracked] = []
        self._watched_m = 0.0
        self.level: float | None = None  # of the latest block, as share of the reference's grey
        self.faults: LightFaults | None = None

    @property
    def reference(self) -> LightReference | None:
        """What is known of the light as it should be; None while nothing is."""
        return self._reference.reference

    def look(self, frame: NDArray[np.uint8]) -> float:
        """Look at a frame after flat field, uint8 [lines, pixels].

        Returns:
            Its mean grey: over the strip, or over everything where there is none.
        """
        means = column_means(frame)
        inside = strip_columns(means, self._background_grey_max)
        if inside is None:
            return float(means.mean())
        grey = self._sum.add(means, inside, frame.shape[0] * self._m_per_line)
        if self._sum.metres * BLOCKS >= self._section.metres:
            self._judge(self._sum.take())
        return grey

    def _judge(self, block: Block) -> None:
        """Compare a block with what is expected, and open and close faults."""
        section = self._section
        self._watched_m += block.metres
        lines = against_neighbours(block.shape, self._segment_px)
        segments = self._reference.share_of(block)
        self.level = self._reference.level_of(block)
        self._reference.learn(block)
        _count(self._line_m, lines, 1 - section.line_share, block.metres)
        _count(self._segment_m, segments, 1 - section.segment_share, block.metres)
        level = 1.0 if self.level is None else self.level
        for kind, is_wrong in (
            ("dim", level < 1 - section.level_share),
            ("bright", level > 1 + section.level_share),
        ):
            self._level_m[kind] = self._level_m[kind] + block.metres if is_wrong else 0.0
        self._close(lines, segments, level, block.metres)
        self._open_places("segment", self._segment_m, segments, self._segment_px)
        self._open_places("line", self._line_m, lines, 1)
        self._open_level(level)
        if self._watched_m >= section.metres:
            self.faults = tuple(entry.fault for entry in self._tracked[:LIGHT_FAULTS_MAX])

    def _close(self, lines: Profile, segments: Profile, level: float, metres: float) -> None:
        """Forget the faults that have been away for as long as they had to be there."""
        section = self._section
        for entry in self._tracked:
            fault = entry.fault
            place = slice(fault.from_px, fault.to_px)
            match fault.kind:
                case "line":
                    stays = _is_below(lines[place], 1 - STAYS_SHARE * section.line_share)
                case "segment":
                    stays = _is_below(segments[place], 1 - STAYS_SHARE * section.segment_share)
                case "dim":
                    stays = level < 1 - STAYS_SHARE * section.level_share
                case "bright":
                    stays = level > 1 + STAYS_SHARE * section.level_share
            entry.absent_m = 0.0 if stays else entry.absent_m + metres
        self._tracked = [entry for entry in self._tracked if entry.absent_m < section.metres]

    def _open_places(
        self, kind: LightKind, wrong_m: NDArray[np.float64], shares: Profile, width_min_px: int
    ) -> None:
        """Open a fault for each run of columns that have been wrong for long enough."""
        for first, end in _runs(wrong_m >= self._section.metres):
            if end - first >= width_min_px and not self._is_known(first, end):
                share = round(float(np.nanmean(shares[first:end])), 3)
                self._tracked.append(_Tracked(LightFault(kind, first, end, share)))

    def _open_level(self, level: float) -> None:
        kinds: tuple[LightKind, ...] = ("dim", "bright")
        for kind in kinds:
            is_open = any(entry.fault.kind == kind for entry in self._tracked)
            if self._level_m[kind] >= self._section.level_metres and not is_open:
                fault = LightFault(kind, 0, len(self._line_m), round(level, 3))
                self._tracked.append(_Tracked(fault))

    def _is_known(self, first: int, end: int) -> bool:
        """Whether these columns touch a fault that is open: its border may move a little."""
        return any(
            entry.fault.kind in ("line", "segment")
            and entry.fault.from_px - self._segment_px < end
            and first < entry.fault.to_px + self._segment_px
            for entry in self._tracked
        )


def _count(wrong_m: NDArray[np.float64], shares: Profile, limit: float, metres: float) -> None:
    """Lengthen the columns below the limit, and begin the others anew; unknown ones stay."""
    known = ~np.isnan(shares)
    below = known & (shares < limit)
    wrong_m[below] += metres
    wrong_m[known & ~below] = 0.0


def _is_below(shares: Profile, limit: float) -> bool:
    """Whether a place is below the limit somewhere; what the strip does not reach may be."""
    return bool(np.isnan(shares).all() or np.nanmin(shares) < limit)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First, and one past the last, of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.view(np.int8), [0]])))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
