"""The four kinds of defects, and harmless marks that must not be detected.

Each defect is sampled from a random generator and then fixed; `draw` adds the part of it that lies
in a frame to that frame, so that a defect on a seam is the same in both frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.synthetic.roll_marks import Kind

Image = NDArray[np.float32]
Mask = NDArray[np.uint8]

LINES_MAX = 2560  # no defect is longer
SCRATCH_LINES_MIN = 300
PITS, CRACKS, SCRATCHES, PATCHES = 1, 2, 4, 8  # bits in the mask


class Defect(Protocol):
    """A defect or harmless mark on the strip."""

    def draw(self, image: Image, mask: Mask, first_line: int) -> None:
        """Add the part that lies in a frame whose first line is `first_line`."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A defect that is small enough to be kept as a picture."""

    line: int
    pixel: int
    change: Image  # added to the grey level
    area: NDArray[np.bool_]
    bit: int  # 0: harmless

    def draw(self, image: Image, mask: Mask, first_line: int) -> None:
        """Add the part that lies in the frame."""
        height, width = self.change.shape
        start = max(self.line, first_line)
        end = min(self.line + height, first_line + len(image))
        if start >= end:
            return
        own = slice(start - self.line, end - self.line)
        there = (slice(start - first_line, end - first_line), slice(self.pixel, self.pixel + width))
        image[there] += self.change[own]
        mask[there] |= self.area[own].astype(np.uint8) * np.uint8(self.bit)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A long mark along the rolling direction that wanders a little."""

    line: int
    lines: int
    pixel: float
    drift: float  # pixels per line
    sway_px: float
    sway_lines: float
    half_width: float
    contrast: float

    def draw(self, image: Image, mask: Mask, first_line: int) -> None:
        """Add the part that lies in the frame."""
        start, end = (
            max(self.line, first_line),
            min(self.line + self.lines, first_line + len(image)),
        )
        if start >= end:
            return
        along = np.arange(start - self.line, end - self.line, dtype=np.float64)
        sway = self.sway_px * np.sin(2 * np.pi * along / self.sway_lines)
        centre = self.pixel + self.drift * along + sway
        # Narrow at both ends, as a scratch begins and ends.
        taper = np.clip(np.minimum(along + 1, self.lines - along) / 40, 0.4, 1)
        half = self.half_width * taper
        left = max(0, int(centre.min() - self.half_width) - 1)
        right = min(image.shape[1], int(centre.max() + self.half_width) + 2)
        offset = np.abs(np.arange(left, right)[None, :] - centre[:, None]) / half[:, None]
        inside = offset <= 1
        rows = slice(start - first_line, end - first_line)
        image[rows, left:right] += (inside * self.contrast * (1 - 0.5 * offset**2)).astype(
            np.float32
        )
        mask[rows, left:right] |= inside.astype(np.uint8) * np.uint8(SCRATCHES)


def straight_scratch(line: int, lines: int, pixel: float) -> Scratch:
    """A scratch along the rolling direction, dark, as a burr or a stuck roll makes it."""
    return Scratch(
        line=line,
        lines=lines,
        pixel=pixel,
        drift=0.0,
        sway_px=3.0,
        sway_lines=600.0,
        half_width=4.0,
        contrast=-45.0,
    )


def defects_of_block(
    generator: np.random.Generator, rate: float, first_line: int, lines: int, left: int, right: int
) -> Iterator[Defect]:
    """The defects, about `rate` of them, and harmless marks that begin in a block of lines.

    All of them lie between the pixels `left` and `right`.
    """
    for _ in range(generator.poisson(4)):
        yield _harmless(generator, int(first_line + generator.integers(lines)), left, right)
    for _ in range(generator.poisson(rate)):
        line = int(first_line + generator.integers(lines))
        match generator.choice(4, p=(0.31, 0.31, 0.07, 0.31)):
            case 0:
                yield _pits(generator, line, left, right)
            case 1:
                yield _crack(generator, line, left, right)
            case 2:
                yield _scratch(generator, line, left, right)
            case _:
                yield _patch(generator, line, left, right)


def roll_stamp(generator: np.random.Generator, kind: Kind, pixels: int) -> Stamp:
    """What a roll prints at each turn, at line and pixel 0."""
    make = {"pits": _pits, "cracks": _crack, "patches": _patch}[kind]
    return replace(make(generator, 0, 0, pixels), pixel=0)


def _contrast(generator: np.random.Generator, low: float, high: float, bright: float) -> float:
    """A change of grey level, upward with probability `bright`."""
    size = generator.uniform(low, high)
    return float(size if generator.random() < bright else -size)


def _place(
    generator: np.random.Generator,
    line: int,
    left: int,
    right: int,
    change: Image,
    area: Mask,
    bit: int,
) -> Stamp:
    """A stamp at a random place between two pixels; one that is too wide is cut."""
    width = min(change.shape[1], right - left)
    pixel = int(generator.integers(left, right - width + 1))
    return Stamp(line, pixel, change[:, :width], area[:, :width] > 0, bit)


def _pits(generator: np.random.Generator, line: int, left: int, right: int) -> Stamp:
    """A handful of small round holes, each dark with a brighter rim."""
    side = int(generator.integers(50, 150))
    core = np.zeros((side, side), np.uint8)
    for _ in range(generator.integers(1, 7)):
        axes = generator.integers(5, 12, 2)
        centre = generator.integers(14, side - 14, 2)
        angle = generator.uniform(0, 180)
        cv2.ellipse(core, centre.tolist(), axes.tolist(), angle, 0, 360, 1, cv2.FILLED)
    rim = cv2.dilate(core, np.ones((3, 3), np.uint8)) - core
    depth = generator.uniform(32, 62)
    soft = cv2.GaussianBlur(core.astype(np.float32), (0, 0), 1.0)
    change = -depth * soft + 0.4 * depth * rim.astype(np.float32)
    return _place(generator, line, left, right, change, core, PITS)


def _crack(generator: np.random.Generator, line: int, left: int, right: int) -> Stamp:
    """A fine, jagged line, mostly across the rolling direction, dark; or an inclusion's streak."""
    steps = int(generator.integers(6, 16))
    heading = generator.uniform(-0.6, 0.6)
    headings = heading + np.cumsum(generator.normal(0, 0.35, steps))
    length = generator.uniform(9, 16, steps)
    points = np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1) * length[:, None], axis=0)
    points -= points.min(axis=0) - 8
    width, height = (np.ceil(points.max(axis=0)) + 8).astype(int).tolist()
    area = np.zeros((height, width), np.uint8)
    thickness = int(generator.integers(5, 9))
    cv2.polylines(area, [np.round(points).astype(np.int32)], False, 1, thickness)
    soft = cv2.GaussianBlur(area.astype(np.float32), (0, 0), 0.8)
    change = _contrast(generator, 30, 58, bright=0.15) * soft
    return _place(generator, line, left, right, change, area, CRACKS)


def _scratch(generator: np.random.Generator, line: int, left: int, right: int) -> Scratch:
    """A long scratch, bright or dark."""
    lines = int(generator.integers(SCRATCH_LINES_MIN, LINES_MAX))
    sway_px = generator.uniform(0, 8)
    drift = generator.uniform(-0.04, 0.04)
    half_width = generator.uniform(2.6, 5.5)
    reach = abs(drift) * lines + sway_px + half_width + 2
    room = max(right - left - 2 * reach, 1)
    return Scratch(
        line=line,
        lines=lines,
        pixel=float(left + reach + generator.random() * room - (drift * lines) / 2),
        drift=float(drift),
        sway_px=float(sway_px),
        sway_lines=float(generator.uniform(200, 800)),
        half_width=float(half_width),
        contrast=_contrast(generator, 28, 60, bright=0.6),
    )


def _patch(generator: np.random.Generator, line: int, left: int, right: int) -> Stamp:
    """A blotch with a clear, ragged border and a rough inside, as of rolled-in scale."""
    height, width = (int(side) for side in generator.integers(70, 260, 2))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    ragged = cv2.GaussianBlur(generator.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 9)
    ragged = ragged / (ragged.std() + 1e-6)
    area = (x**2 + y**2 + 0.16 * ragged < 0.62).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(area)
    area = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    rough = cv2.GaussianBlur(
        generator.normal(0, 30, (height, width)).astype(np.float32), (0, 0), 2.2
    )
    soft = cv2.GaussianBlur(area.astype(np.float32), (0, 0), 1.2)
    change = soft * (_contrast(generator, 20, 48, bright=0.35) + rough)
    return _place(generator, line, left, right, change, area, PATCHES)


def _harmless(generator: np.random.Generator, line: int, left: int, right: int) -> Stamp:
    """Dust, a hairline, or a soft water stain: seen on every line, and no defect."""
    kind = generator.integers(3)
    if kind == 0:
        change = np.zeros((7, 7), np.float32)
        cv2.circle(
            change, (3, 3), int(generator.integers(1, 3)), _contrast(generator, 15, 40, 0.5), -1
        )
    elif kind == 1:
        change = np.zeros((int(generator.integers(40, 200)), 3), np.float32)
        change[:, 1] = _contrast(generator, 8, 20, bright=0.7)
    else:
        height, width = (int(side) for side in generator.integers(60, 200, 2))
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        fade = np.clip(1 - x**2 - y**2, 0, 1) ** 1.5
        change = fade * np.float32(_contrast(generator, 8, 18, bright=0.4))
    return _place(generator, line, left, right, change, np.zeros(change.shape, np.uint8), 0)
