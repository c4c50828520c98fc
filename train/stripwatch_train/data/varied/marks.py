"""Harmless marks that look like defects to a careless eye: oil, water, paint, chalk, shadows.

They change the picture of the steel in place; grey levels, not clipped.
"""

from __future__ import annotations

import cv2
import numpy as np

from stripwatch_train.data.varied.noise import (
    Image,
    Random,
    add_at,
    blob,
    blurred,
    log_uniform,
    texture,
)

PAINT_BRIGHTER = 1.8  # times the steel around it, or more


def add_marks(random: Random, image: Image) -> None:
    """Draw some marks of each kind, or none."""
    for chance, draw in (
        (0.35, _shadow),
        (0.5, _oil),
        (0.2, _water),
        (0.2, _paint),
        (0.2, _writing),
        (0.4, _specks),
    ):
        if random.random() < chance:
            draw(random, image)


def _shadow(random: Random, image: Image) -> None:
    """Soft shadows and reflections, larger than any defect and with no border."""
    covered = np.zeros(image.shape, np.float32)
    for _ in range(random.integers(1, 4)):
        side = (int(log_uniform(random, 150, 600)), int(log_uniform(random, 150, 900)))
        depth = random.uniform(-0.35, 0.35)
        _add_anywhere(random, covered, depth * blob(random, side, random.uniform(0, 0.2)))
    image *= np.clip(1 + blurred(covered, log_uniform(random, 18, 70)), 0.1, None)


def _oil(random: Random, image: Image) -> None:
    """Stains that darken the steel and blur its grain, with a soft border, often drawn out."""
    covered = np.zeros(image.shape, np.float32)
    for _ in range(random.integers(1, 6)):
        size = log_uniform(random, 25, 300)
        side = (int(size * log_uniform(random, 0.6, 3)), int(size))
        _add_anywhere(random, covered, blob(random, side, random.uniform(0.05, 0.4)))
    covered = blurred(np.clip(covered, 0, 1), log_uniform(random, 5, 26))
    smooth = blurred(image, log_uniform(random, 1.5, 4))
    image += covered * random.uniform(0, 0.8) * (smooth - image)
    image *= 1 - covered * random.uniform(-0.2, 0.35)


def _water(random: Random, image: Image) -> None:
    """Drops and dried rims: faint rings."""
    rings = np.zeros(image.shape, np.float32)
    for _ in range(random.integers(1, 25)):
        middle = random.uniform((0, 0), image.shape[::-1]).astype(int).tolist()
        axes = [int(log_uniform(random, 8, 80)) for _ in range(2)]
        angle, thickness = random.uniform(0, 180), int(random.integers(1, 4))
        cv2.ellipse(rings, middle, axes, angle, 0, 360, 1.0, thickness)
    image *= 1 + random.uniform(-0.1, 0.15) * blurred(rings, log_uniform(random, 1.5, 6))


def _paint(random: Random, image: Image) -> None:
    """Sprayed or brushed marks, far brighter than steel, with splashes around them."""
    lines, pixels = image.shape
    covered = np.zeros(image.shape, np.uint8)
    at = random.uniform((0, -50), (pixels, lines))
    for _ in range(random.integers(1, 10)):
        start = at + random.normal(0, 90, 2)
        end = start + random.normal(0, 60, 2)
        thickness = int(log_uniform(random, 6, 50))
        points = np.round([start, end]).astype(int).tolist()
        cv2.line(covered, points[0], points[1], 1, thickness)
    for _ in range(random.integers(0, 120)):
        x, y = np.round(at + random.normal(0, 140, 2)).astype(int).tolist()
        cv2.circle(covered, (x, y), int(random.integers(0, 5)), 1, -1)
    _brighten(random, image, covered.astype(np.float32))


def _writing(random: Random, image: Image) -> None:
    """Numbers and ticks of chalk or a marker."""
    lines, pixels = image.shape
    covered = np.zeros(image.shape, np.uint8)
    text = "".join(map(str, random.integers(0, 10, random.integers(1, 7))))
    scale = log_uniform(random, 1.5, 9)
    origin = (int(random.uniform(-50, pixels)), int(random.uniform(20, lines + 60)))
    thickness = max(2, int(scale * random.uniform(1, 5)))
    cv2.putText(covered, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 1, thickness)
    if random.random() < 0.5:  # as the camera sees it from another side
        covered = np.ascontiguousarray(covered[::-1] if random.random() < 0.5 else covered[:, ::-1])
    _brighten(random, image, covered.astype(np.float32))


def _brighten(random: Random, image: Image, covered: Image) -> None:
    """Cover with white that is broken where the steel is rough."""
    sigma_lines, sigma_pixels = log_uniform(random, 0.7, 8), log_uniform(random, 0.7, 5)
    broken = texture(random, (image.shape[0], image.shape[1]), sigma_lines, sigma_pixels)
    covered = covered * (broken < random.uniform(0.2, 3))
    covered = blurred(covered, log_uniform(random, 0.4, 1.5))
    around = float(np.median(image))
    white = max(random.uniform(120, 300), PAINT_BRIGHTER * around)
    image += covered * random.uniform(0.75, 1) * np.clip(white - image, 0, None)


def _specks(random: Random, image: Image) -> None:
    """Dust, droplets and dents of a few pixels, smaller than any defect."""
    specks = np.zeros(image.shape, np.float32)
    count = int(log_uniform(random, 3, 400))
    places = random.uniform((0, 0), image.shape[::-1], (count, 2)).astype(int).tolist()
    for (x, y), change in zip(places, random.uniform(-0.5, 0.6, count).tolist(), strict=True):
        cv2.circle(specks, (x, y), int(random.integers(0, 3)), change, -1)
    image *= 1 + blurred(specks, log_uniform(random, 0.2, 1))


def _add_anywhere(random: Random, image: Image, part: Image) -> None:
    line = int(random.integers(-part.shape[0] // 2, image.shape[0]))
    pixel = int(random.integers(-part.shape[1] // 2, image.shape[1]))
    add_at(image, part, line, pixel)
