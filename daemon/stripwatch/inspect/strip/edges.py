"""The edges of the strip: given, or found in each frame by the dark background beside the strip.

The mean grey of every column is compared with a limit. The background of Severstal's frames with a
margin stays below 12 and their strip above 24, while a column of scale or a bright spot in the
background can be as dark or bright as the other in single lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median_low

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.config.sections import Strip
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.wire.event import Edges, Millimetres
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.names import StripSide

LINE_STEP = 16  # every so many lines of a frame are looked at
SPOT_PX = 9  # columns over which a bright spot of the background is spread
FRAMES = 9  # of which an edge is the median


Columns = tuple[int | None, int | None]


class StripEdges:
    """The edges of both sides of the strip as the cameras see them now."""

    def __init__(self, strip: Strip, places: Iterable[CameraPlace]) -> None:
        self._strip = strip
        self._seen = {place.camera.name: _CameraEdges(place) for place in places}

    def follow(self, places: Iterable[CameraPlace]) -> None:
        """Take other cameras; those that stay as they were keep what they have seen."""
        self._seen = {
            place.camera.name: known
            if (known := self._seen.get(place.camera.name)) and known.place == place
            else _CameraEdges(place)
            for place in places
        }

    def look(self, header: FrameHeader, pixels: NDArray[np.uint8]) -> None:
        """Follow the edges in one frame, uint8 [lines, pixels], where they are to be found."""
        if self._strip.edges == "found":
            found_px = find_edges(pixels, self._strip.background_grey_max)
            self._seen[header.camera].add(header.strip, found_px)

    def of(self, side: StripSide) -> Edges:
        """Left and right edge of a side, in mm across the strip; None where no camera sees it."""
        if self._strip.edges == "given" and self._strip.edges_mm:
            return self._strip.edges_mm
        seen = [camera.edges_mm for camera in self._seen.values() if camera.side == side]
        lefts = [left_mm for left_mm, _ in seen if left_mm is not None]
        rights = [right_mm for _, right_mm in seen if right_mm is not None]
        return (min(lefts, default=None), max(rights, default=None))


class _CameraEdges:
    """The edges in the field of one camera, over its latest frames."""

    def __init__(self, place: CameraPlace) -> None:
        self.place = place
        self._strip: str | None = None
        self._latest: deque[Columns] = deque(maxlen=FRAMES)
        self.side = place.camera.side
        self.edges_mm: Edges = (None, None)

    def add(self, strip: str | None, found_px: Columns) -> None:
        """Follow the edges of one more frame; another strip may have another width."""
        if strip != self._strip:
            self._strip = strip
            self._latest.clear()
        self._latest.append(found_px)
        first_mm, end_mm = (
            self._usual([edges[index] for edges in self._latest]) for index in (0, 1)
        )
        mirrored = self.place.camera.mirrored
        self.edges_mm = (end_mm, first_mm) if mirrored else (first_mm, end_mm)

    def _usual(self, columns: list[int | None]) -> Millimetres | None:
        """The median of an edge; None where most frames do not show it."""
        seen = [column for column in columns if column is not None]
        return self.place.crossweb_mm(median_low(seen)) if 2 * len(seen) > len(columns) else None


def find_edges(pixels: NDArray[np.uint8], background_grey_max: int) -> Columns:
    """First column of the strip, and one past its last; None where it reaches the frame's border.

    Both are None in a frame without strip.

    Args:
        pixels: uint8 [lines, pixels].
        background_grey_max: the largest mean grey of a column beside the strip.
    """
    sampled = pixels[::LINE_STEP]
    limit = background_grey_max * len(sampled)
    sums = cv2.reduce(sampled, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    is_strip = sums[0] > limit
    # A spot that is bright enough by itself vanishes when it is spread over its neighbours.
    spread = cv2.blur(sums.astype(np.float32), (SPOT_PX, 1))[0] > limit
    if not spread.any():
        return None, None
    reach = SPOT_PX // 2 + 1  # a sharp edge is spread by as much
    first, last = int(spread.argmax()), len(spread) - 1 - int(spread[::-1].argmax())
    first += int(is_strip[first : first + reach].argmax())
    last -= int(is_strip[max(last - reach + 1, 0) : last + 1][::-1].argmax())
    return (first if first > 0 else None, last + 1 if last + 1 < len(spread) else None)
