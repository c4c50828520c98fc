"""Findings with their masks encoded: by the native function, or by whole arrays where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stripwatch.inspect.coarse import limit_masks
from stripwatch.inspect.findings import Segmentation, find_defects_of_frames
from stripwatch.inspect.native.compile import LIBRARY
from stripwatch.inspect.native.finder import Masked, NativeFinder
from stripwatch.wire.rle import encode_masks


class MaskedFinder:
    """Finds the defects of frames; belongs to one thread."""

    def __init__(self, library: Path = LIBRARY) -> None:
        """Load the native function where the package was built with it."""
        self._native: NativeFinder | None
        try:
            self._native = NativeFinder(library)
        except (OSError, AttributeError):
            self._native = None

    @property
    def is_native(self) -> bool:
        """Whether the native function is there."""
        return self._native is not None

    def find(self, frames: Sequence[Segmentation], defects_max: int) -> list[list[Masked]]:
        """The findings of each frame; see `find_defects_of_frames` and `limit_masks`."""
        native = self._native
        if native is None:
            return _find_by_arrays(frames, defects_max)
        found = native.find(frames, defects_max)
        left = [frame for frame, masked in zip(frames, found, strict=True) if masked is None]
        others = iter(_find_by_arrays(left, defects_max) if left else ())
        return [next(others) if masked is None else masked for masked in found]


def _find_by_arrays(frames: Sequence[Segmentation], defects_max: int) -> list[list[Masked]]:
    limited = [limit_masks(found) for found in find_defects_of_frames(frames, defects_max)]
    encoded = iter(encode_masks([one.runs for findings in limited for one in findings]))
    return [[(finding, next(encoded)) for finding in findings] for findings in limited]
