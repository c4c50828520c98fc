"""Places on the strip in millimetres, from pixels of a frame (docs/strip.md).

Downweb counts from the strip's start, crossweb from its left edge. In a frame, `x` runs across and
`y` along the strip in pixels, from the outer border of the first: a pixel's centre is at + 0.5.
"""

from __future__ import annotations

import msgspec

from stripwatch.config.sections import Camera, Geometry
from stripwatch.wire.event import Box, Edges, Millimetres, Position
from stripwatch.wire.frame import FrameHeader

DIGITS = 2  # of millimetres in events


class CameraPlace(msgspec.Struct, frozen=True):
    """Where the pixels of one camera lie on the strip."""

    camera: Camera
    geometry: Geometry

    def downweb_mm(self, header: FrameHeader, y: float) -> Millimetres | None:
        """The place along the strip of height `y` in a frame; None if its line is unknown."""
        if header.line is None:
            return None
        line = header.line + 1 - y if header.line_reversed else header.line + y
        return line * self.geometry.mm_per_line

    def crossweb_mm(self, x: float) -> Millimetres:
        """The place across the strip of `x` in a frame."""
        across_px = self.geometry.frame_pixels - x if self.camera.mirrored else x
        return self.camera.crossweb_offset_mm + across_px * self.geometry.mm_per_pixel

    def position(self, header: FrameHeader, centroid: tuple[float, float]) -> Position:
        """The place of a centroid, which counts from the centre of the first pixel."""
        x, y = centroid
        downweb_mm = self.downweb_mm(header, y + 0.5)
        return Position(
            downweb_mm=None if downweb_mm is None else round(downweb_mm, DIGITS),
            crossweb_mm=round(self.crossweb_mm(x + 0.5), DIGITS),
        )

    def box(self, header: FrameHeader, box_px: tuple[int, int, int, int]) -> Box:
        """The place of a box of whole pixels: x, y, width, height."""
        x, y, width, height = box_px
        first_mm, last_mm = self.downweb_mm(header, y), self.downweb_mm(header, y + height)
        left_mm, right_mm = self.crossweb_mm(x), self.crossweb_mm(x + width)
        downweb_mm = None
        if first_mm is not None and last_mm is not None:
            downweb_mm = _in_order(first_mm, last_mm)
        return Box(downweb_mm, _in_order(left_mm, right_mm))


def edge_distances(box: Box, edges: Edges) -> Edges:
    """From a box to the left and right edge; negative beyond it, None where it is unknown."""
    left_mm, right_mm = box.crossweb_mm
    left_edge_mm, right_edge_mm = edges
    return (
        None if left_edge_mm is None else round(left_mm - left_edge_mm, DIGITS),
        None if right_edge_mm is None else round(right_edge_mm - right_mm, DIGITS),
    )


def _in_order(one_mm: Millimetres, other_mm: Millimetres) -> tuple[Millimetres, Millimetres]:
    return (
        round(min(one_mm, other_mm), DIGITS),
        round(max(one_mm, other_mm), DIGITS),
    )
