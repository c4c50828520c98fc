"""Rolled steel without defects: light, rolling marks, scale, noise, strip edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

EDGE_MARGIN = 0.025  # of the width: dark background beyond the strip's edge, on average
EDGE_WANDER = 0.008  # of the width: how far the edges wander
DARK = 9.0  # grey level beyond the edges
# Lines after which a texture repeats; coprime, so that their sum repeats only after their product.
GRAIN_LINES = 509
SCALE_LINES = 769


class Background:
    """The clean strip; every line is a function of its index."""

    def __init__(self, seed: int, pixels: int) -> None:
        generator = np.random.default_rng([seed, 0xB6])
        self._pixels = pixels
        self._light = _light_profile(generator, pixels)
        marks = _rolling_marks(generator, pixels)
        self._grain = _grain(generator, pixels) + marks
        self._scale = _scale(generator, pixels)
        self._phases = generator.uniform(0, 2 * np.pi, 6)
        margin, wander = EDGE_MARGIN * pixels, EDGE_WANDER * pixels
        self._edges = (margin, pixels - margin, wander)
        # Defects stay clear of the edges, so that a mask never leaves the strip.
        self.usable_pixels = (int(margin + 2 * wander) + 2, int(pixels - margin - 2 * wander) - 2)

    def lines(self, first: int, count: int) -> Image:
        """Lines [first, first + count), float32 [count, pixels], not clipped."""
        image = _cyclic(self._grain, first, count)
        image += _cyclic(self._scale, first, count)
        image += self._light
        index = np.arange(first, first + count, dtype=np.float64)
        flicker = 1 + 0.03 * np.sin(index / 210 + self._phases[0])
        flicker += 0.02 * np.sin(index / 37 + self._phases[1])
        image *= flicker.astype(np.float32)[:, None]
        self._darken_edges(image, index)
        return image

    def _darken_edges(self, image: Image, index: NDArray[np.float64]) -> None:
        left, right, wander = self._edges
        wave = np.sin(index / 900 + self._phases[2]) + 0.5 * np.sin(index / 160 + self._phases[3])
        shift = (wander * wave / 1.5).astype(np.float32)[:, None]
        reach = int(2 * wander) + 2
        for edge, outward in ((left, -1), (right, 1)):
            start, end = max(0, int(edge) - reach), min(self._pixels, int(edge) + reach)
            columns = np.arange(start, end, dtype=np.float32)
            # 1 inside, 0 outside, over a soft edge of about two pixels.
            inside = np.clip(0.5 - outward * (columns - edge - shift) / 2, 0, 1)
            zone = image[:, start:end]
            zone += (1 - inside) * (DARK - zone)
            if outward < 0:
                image[:, :start] = DARK
            else:
                image[:, end:] = DARK


def _cyclic(texture: Image, first: int, count: int) -> Image:
    """Lines [first, first + count) of a texture that repeats, as a new array."""
    return np.take(texture, np.arange(first, first + count) % len(texture), axis=0)


def _light_profile(generator: np.random.Generator, pixels: int) -> Image:
    """Brightness across the strip: lamps overlap unevenly and fall off at the sides."""
    x = np.linspace(-1, 1, pixels)
    profile = generator.uniform(85, 125) * (1 - generator.uniform(0.1, 0.3) * x**2)
    for waves in range(1, 5):
        phase = generator.uniform(0, 2 * np.pi)
        profile += generator.uniform(1, 8) * np.sin(np.pi * waves * x + phase)
    return profile.astype(np.float32)


def _rolling_marks(generator: np.random.Generator, pixels: int) -> Image:
    """Fine streaks along the rolling direction, the same in every line: float32 [1, pixels]."""
    fine = cv2.GaussianBlur(generator.normal(0, 5, (1, pixels)), (0, 0), 1.2)
    broad = cv2.GaussianBlur(generator.normal(0, 30, (1, pixels)), (0, 0), 14)
    return np.asarray(fine + broad, np.float32)


def _grain(generator: np.random.Generator, pixels: int) -> Image:
    """Noise drawn out along the rolling direction, and the camera's own noise on top."""
    drawn_out = generator.normal(0, 26, (GRAIN_LINES, pixels)).astype(np.float32)
    drawn_out = _wrapped_blur(drawn_out, 0.8, 16)
    camera = generator.normal(0, 3.0, (GRAIN_LINES, pixels)).astype(np.float32)
    return np.asarray(drawn_out + camera, np.float32)


def _scale(generator: np.random.Generator, pixels: int) -> Image:
    """Scale and stains: soft clouds, a little darker than the steel, with no clear border."""
    clouds = generator.normal(0, 1, (SCALE_LINES, pixels)).astype(np.float32)
    clouds = _wrapped_blur(clouds, 18, 40)
    clouds /= clouds.std()
    return np.asarray(-7 * np.clip(clouds - 0.6, 0, 2), np.float32)


def _wrapped_blur(texture: Image, sigma_pixels: float, sigma_lines: float) -> Image:
    """Gaussian blur that wraps around downweb, so that the texture repeats without a seam."""
    reach = min(len(texture), int(4 * sigma_lines))
    wrapped = np.concatenate([texture[-reach:], texture, texture[:reach]])
    blurred = cv2.GaussianBlur(wrapped, (0, 0), sigmaX=sigma_pixels, sigmaY=sigma_lines)
    return np.asarray(blurred[reach:-reach], np.float32)
