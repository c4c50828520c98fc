"""A strip whose every pixel is known, as cameras over it send it, and its defects as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.config.sections import (
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    Inspect,
    Publish,
    Strip,
)
from stripwatch.engines.base import BatchResult
from stripwatch.inspect.coverage import Entry, Row, miss_of
from stripwatch.inspect.inspector import Inspector, Output
from stripwatch.inspect.model import Model
from stripwatch.testing import CLASSES
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, DefectClosed
from stripwatch.wire.frame import FrameHeader

Mask = NDArray[np.uint8]
Told = tuple[int, int, tuple[float, float], tuple[float, float]]  # class, area, lines, columns
Sent = tuple[FrameHeader, Mask | None]  # None: not inspected
MODEL = Model("f" * 64, CLASSES)
LINES_MAX = 64  # of a frame


def config_of(cameras: Sequence[Camera], pixels: int, tolerance_mm: float = 0.0) -> Config:
    """A line whose pixels are 1 mm along and across the strip."""
    return Config(
        line=Geometry(
            frame_lines=LINES_MAX, frame_pixels=pixels, mm_per_line=1.0, mm_per_pixel=1.0
        ),
        cameras=tuple(cameras),
        inputs=(Input(endpoint="ipc://in"),),
        engine=EngineSection(folder=""),
        publish=Publish(endpoint="ipc://out"),
        inspect=Inspect(defects_max=10_000),
        strip=Strip(overlap_tolerance_mm=tolerance_mm),
    )


@dataclass
class View:
    """What one camera sends of a strip: uint8 [lines, pixels], cut into frames."""

    camera: Camera
    mask: Mask  # of the camera's own columns, from left to right
    heights: list[int]  # of its frames, in order
    missed: set[int] = field(default_factory=set)  # numbers of frames that are not inspected
    strip: str | None = "coil"
    line_reversed: bool = False
    session: str = "s"
    has_line: bool = True
    first_seq: int = 0
    first_line: int = 0
    end: bool = True

    def frames(self) -> list[tuple[FrameHeader, Mask]]:
        """Headers and masks as the camera sees them."""
        frames, passed = [], 0
        for number, height in enumerate(self.heights):
            first = len(self.mask) - passed - height if self.line_reversed else passed
            part = self.mask[first : first + height]
            part = part[::-1] if self.line_reversed else part
            part = part[:, ::-1] if self.camera.mirrored else part
            line = first + height - 1 if self.line_reversed else first
            header = FrameHeader(
                v=1,
                camera=self.camera.name,
                session=self.session,
                seq=self.first_seq + number,
                t_ns=number,
                shape=(height, self.mask.shape[1]),
                dtype="u8",
                codec="raw",
                strip=self.strip,
                line=self.first_line + line if self.has_line else None,
                line_reversed=self.line_reversed,
                end=self.end and number == len(self.heights) - 1,
            )
            frames.append((header, part))
            passed += height
        return frames

    def seen(self) -> NDArray[np.bool_]:
        """Which lines of the strip are inspected."""
        lines = np.concatenate(
            [np.full(height, n not in self.missed) for n, height in enumerate(self.heights)]
        )
        return lines[::-1] if self.line_reversed else lines


def outputs_of(
    inspector: Inspector, frames: Iterable[tuple[FrameHeader, Mask | None]], rows: int
) -> list[Output]:
    """What comes of frames, in batches of so many rows; None instead of a mask is a miss."""
    outputs: list[Output] = []
    frames = list(frames)
    for first in range(0, len(frames), rows):
        outputs += _slot_outputs(inspector, frames[first : first + rows])
    return outputs


def _slot_outputs(
    inspector: Inspector, frames: Sequence[tuple[FrameHeader, Mask | None]]
) -> list[Output]:
    pixels = frames[0][0].shape[1]
    masks = np.zeros((len(frames), LINES_MAX, pixels), np.uint8)
    entries: list[Entry] = []
    for row, (header, mask) in enumerate(frames):
        if mask is None:
            entries.append(miss_of(header, Cause.OVERLOAD))
        else:
            masks[row, : len(mask)] = mask
            entries.append(Row(header, row, 0, 0.0))
    planes = masks[:, None] >> np.arange(4, dtype=np.uint8)[:, None, None] & 1
    result = BatchResult(
        mask=masks,
        area=planes.sum(axis=(2, 3)).astype(np.float32),
        peak=np.ones((len(frames), 4), np.float32),
        prob=np.full((len(frames), 4, LINES_MAX, pixels), 204, np.uint8),
        absent=np.zeros((len(frames), 4), np.uint8),
    )
    grey = np.zeros_like(masks)
    return list(chain(*inspector.slot_outputs(entries, grey, result, MODEL)))


def with_misses(view: View) -> list[tuple[FrameHeader, Mask | None]]:
    """The frames of a view, those that are missed without their masks."""
    return [
        (header, None if number in view.missed else mask)
        for number, (header, mask) in enumerate(view.frames())
    ]


def whole_defects(outputs: Iterable[object]) -> list[Defect | DefectClosed]:
    """The events that tell of a whole defect."""
    return [
        event
        for event in outputs
        if isinstance(event, DefectClosed) or (isinstance(event, Defect) and event.is_whole)
    ]


def told(outputs: Iterable[object]) -> list[Told]:
    """The whole defects that events tell of, sorted."""
    found = []
    for event in whole_defects(outputs):
        assert event.box_mm is not None
        assert event.box_mm.downweb_mm is not None
        found.append(
            (event.class_id, event.area_px, event.box_mm.downweb_mm, event.box_mm.crossweb_mm)
        )
    return sorted(found)


def components(mask: Mask, first_column: int = 0) -> list[Told]:
    """The 8-connected components of each class of an uncut strip, sorted."""
    found: list[Told] = []
    for bit in range(4):
        plane = (mask >> bit & 1).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
        for x, y, width, height, area in stats[1:].tolist():
            left = first_column + x
            found.append((bit + 1, area, (y, y + height), (left, left + width)))
    return sorted(found)


def cut_heights(generator: np.random.Generator, lines: int, height_max: int) -> list[int]:
    """Random heights of frames that make up so many lines."""
    heights: list[int] = []
    while sum(heights) < lines:
        height = int(generator.integers(1, height_max + 1))
        heights.append(min(height, lines - sum(heights)))
    return heights
