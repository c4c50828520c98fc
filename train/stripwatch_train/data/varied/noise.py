"""Random numbers and random textures that the parts of a varied frame share."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Random = np.random.Generator
Shape = tuple[int, int]  # lines, pixels

COARSE_FROM = 6.0  # standard deviations, in pixels: wider textures are drawn small and enlarged


def log_uniform(random: Random, low: float, high: float) -> float:
    """A number between two others; as likely below their geometric mean as above it."""
    return float(np.exp(random.uniform(math.log(low), math.log(high))))


def texture(random: Random, shape: Shape, sigma_lines: float, sigma_pixels: float) -> Image:
    """Gaussian noise, blurred; of mean 0 and standard deviation 1."""
    # Coarse noise holds no detail: drawn small, it costs a tenth.
    shrink = [max(1, int(sigma / COARSE_FROM * 2)) for sigma in (sigma_lines, sigma_pixels)]
    small = [-(-side // by) + 2 for side, by in zip(shape, shrink, strict=True)]
    drawn = random.standard_normal(small, np.float32)
    sigmas = (sigma_pixels / shrink[1], sigma_lines / shrink[0])
    drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), sigmaX=sigmas[0], sigmaY=sigmas[1]))
    if max(shrink) > 1:
        drawn = np.asarray(cv2.resize(drawn, None, fx=shrink[1], fy=shrink[0]))
    drawn = drawn[: shape[0], : shape[1]]
    return np.asarray((drawn - drawn.mean()) / (drawn.std() + 1e-6), np.float32)


def blurred(image: Image, sigma: float) -> Image:
    """Gaussian blur; below a fifth of a pixel there is none."""
    if sigma < 0.2:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def blob(random: Random, shape: Shape, ragged: float) -> Image:
    """A closed form, 1 inside and 0 outside, over most of a rectangle.

    Args:
        random: generator.
        shape: of the rectangle.
        ragged: how far its border departs from an ellipse; 0 = not at all.
    """
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    wave = texture(random, shape, shape[0] / 9, shape[1] / 9)
    return np.asarray(x**2 + y**2 + ragged * wave < 0.62, np.float32)


def add_at(image: Image, part: Image, line: int, pixel: int) -> None:
    """Add a picture to a larger one; what lies beyond its sides is cut."""
    top, left = max(line, 0), max(pixel, 0)
    bottom = min(line + part.shape[0], image.shape[0])
    right = min(pixel + part.shape[1], image.shape[1])
    if top < bottom and left < right:
        image[top:bottom, left:right] += part[
            top - line : bottom - line, left - pixel : right - pixel
        ]
