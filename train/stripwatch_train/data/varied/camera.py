"""What lies beyond the strip's edges, and what a camera makes of it all."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch_train.data.varied.noise import Image, Random, blurred, log_uniform, texture


def cut_edges(random: Random, image: Image) -> NDArray[np.bool_]:
    """Darken what lies beyond the strip on one side, on both, or on none.

    Args:
        random: generator.
        image: grey levels, changed in place.

    Returns:
        Where the strip is, bool [lines, pixels].
    """
    lines, pixels = image.shape
    inside = np.ones(image.shape, np.float32)
    columns = np.arange(pixels, dtype=np.float32)[None, :]
    for side in _sides(random):
        share = random.uniform(0, 0.08) if random.random() < 0.7 else random.uniform(0, 0.6)
        slope, wander = random.normal(0, 0.05), log_uniform(random, 0.3, 6)
        wave = wander * texture(random, (lines, 4), log_uniform(random, 3, 90), 0.3)[:, :1]
        edge = share * pixels + slope * np.arange(lines)[:, None] + wave
        distance = columns - edge if side < 0 else pixels - 1 - columns - edge
        if random.random() < 0.5:  # a bent or burred edge: a bright or dark band along it
            width = log_uniform(random, 2, 40)
            uneven = 1 + 0.3 * texture(random, (lines, pixels), 6, 2)
            band = np.exp(-((distance / width) ** 2)) * uneven
            image *= 1 + random.uniform(-0.6, 0.8) * band.astype(np.float32)
        if random.random() < 0.35:  # its side, or a bevel, with a brightness of its own
            width = log_uniform(random, 8, 90)
            beside = np.clip(0.5 + (width - distance) / log_uniform(random, 1, 6), 0, 1)
            image *= 1 + (random.uniform(0.3, 1.9) - 1) * beside.astype(np.float32)
        inside *= np.clip(0.5 + distance / log_uniform(random, 0.8, 12), 0, 1)
    dark = random.uniform(0, 14)
    image += (1 - inside) * (dark - image)
    return np.asarray(inside > 0.5)


def _sides(random: Random) -> tuple[int, ...]:
    chance = random.random()
    if chance < 0.35:
        return ()
    if chance < 0.65:
        return (-1, 1)
    return (-1,) if chance < 0.82 else (1,)


def exposed(random: Random, image: Image) -> NDArray[np.uint8]:
    """The frame as the camera sends it: blurred, with noise, perhaps as a JPEG."""
    image = blurred(image, random.uniform(0.3, 1.4) if random.random() < 0.4 else 0)
    noise = log_uniform(random, 0.4, 6)
    if random.random() < 0.3:  # each pixel of the sensor has a gain of its own
        image = image * (1 + 0.01 * random.standard_normal((1, image.shape[1]), np.float32))
    image = image + noise * random.standard_normal(image.shape, np.float32)
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    if random.random() < 0.6:
        quality = int(random.integers(45, 97))
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return pixels


def padded(random: Random, frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Black at the right and below, as where images of other sizes are made frames."""
    if random.random() < 0.08:
        for axis in range(2):
            start = int(frame.shape[axis] * random.uniform(0.1, 1.5))
            for picture in (frame, mask):
                np.moveaxis(picture, axis, 0)[start:] = 0
