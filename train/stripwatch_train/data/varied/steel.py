"""Bare steel: light across the strip, grain, streaks, clouds and flakes of scale.

A surface is relative to the light that falls on it: 1.0 is plain steel.
"""

from __future__ import annotations

import numpy as np

from stripwatch_train.data.varied.noise import Image, Random, Shape, blurred, log_uniform, texture

LEVELS = (38.0, 190.0)  # grey, of the brightest place: from dim to nearly saturated


def light(random: Random, shape: Shape) -> Image:
    """Grey level of plain steel under the lamps, float32 [lines, pixels]."""
    lines, pixels = shape
    x = np.linspace(-1, 1, pixels)
    centre, power = random.uniform(-1.2, 1.2), random.uniform(1.2, 4)
    fall = random.uniform(0, 0.4) if random.random() < 0.6 else random.uniform(0.3, 0.95)
    away = np.abs(x - centre) / (1 + abs(centre))
    profile = 1 - fall * away**power
    for waves in range(1, 6):
        phase = random.uniform(0, 2 * np.pi)
        profile += random.uniform(0, 0.07) * np.sin(np.pi * waves * x + phase)
    for _ in range(random.poisson(1.5)):  # broad bands: lamps that overlap, a wiper's trace
        width = log_uniform(random, 0.03, 0.5)
        band = np.exp(-(((x - random.uniform(-1, 1)) / width) ** 2))
        profile += random.uniform(-0.25, 0.25) * band
    along = 1 + random.uniform(0, 0.1) * np.sin(
        np.linspace(0, random.uniform(0.5, 6), lines) + random.uniform(0, 2 * np.pi)
    )
    level = log_uniform(random, *LEVELS) / profile.max()
    # The darkest place keeps some light: what is black is beyond the strip's edge.
    return np.asarray(level * np.clip(profile, 0.06, None) * along[:, None], np.float32)


def surface(random: Random, shape: Shape) -> Image:
    """What plain steel reflects, relative, about 1; float32 [lines, pixels]."""
    rough = np.zeros(shape, np.float32)
    for _ in range(random.integers(1, 4)):
        rough += _grain(random, shape)
    if random.random() < 0.8:
        rough += _streaks(random, shape)
    if random.random() < 0.5:  # rougher here, smoother there
        size = log_uniform(random, 30, 300)
        place = texture(random, shape, size * log_uniform(random, 0.5, 4), size)
        rough *= np.clip(1 + random.uniform(0.2, 0.9) * place, 0.1, 2.5)
    reflected = 1 + rough
    if random.random() < 0.25:  # chatter of the mill, across
        across = texture(random, (shape[1], shape[0]), 1e3, log_uniform(random, 0.8, 12))
        reflected += log_uniform(random, 0.003, 0.04) * across[:1].T
    for _ in range(random.integers(0, 4)):
        reflected += _clouds(random, shape)
    if random.random() < 0.35:
        reflected += _flakes(random, shape)
    if random.random() < 0.35:
        reflected += _bands(random, shape)
    return np.clip(reflected, 0.3, 2.5)


def _grain(random: Random, shape: Shape) -> Image:
    """Noise, mostly drawn out along the rolling direction."""
    fine, long = log_uniform(random, 0.5, 4), log_uniform(random, 0.6, 50)
    along = random.random() < 0.85
    drawn = texture(random, shape, long if along else fine, fine if along else long)
    return log_uniform(random, 0.004, 0.07) * drawn


def _streaks(random: Random, shape: Shape) -> Image:
    """Streaks along the rolling direction, the same in every line or nearly so."""
    streaks = np.zeros(shape, np.float32)
    for low, high, strongest in ((0.5, 2, 0.08), (2, 30, 0.08)):
        width = log_uniform(random, low, high)
        strength = log_uniform(random, 0.003, strongest)
        if random.random() < 0.5:
            drawn = texture(random, (4, shape[1]), 0.3, width)[:1]
        else:
            drawn = texture(random, shape, log_uniform(random, 80, 600), width)
        streaks += strength * drawn
    return streaks


def _clouds(random: Random, shape: Shape) -> Image:
    """Stains and scale with no clear border, darker or brighter, all over or here and there."""
    size = log_uniform(random, 8, 90)
    drawn = texture(random, shape, size * log_uniform(random, 0.5, 4), size)
    if random.random() < 0.5:
        drawn = np.clip(drawn - random.uniform(0, 1.2), 0, 2)
    strength = log_uniform(random, 0.01, 0.12)
    return np.asarray(strength * random.choice((-1, 1)) * drawn, np.float32)


def _flakes(random: Random, shape: Shape) -> Image:
    """Flakes of scale with a clear border, faint and many: a mottled surface."""
    width, length = log_uniform(random, 2, 12), log_uniform(random, 3, 70)
    drawn = texture(random, shape, length, width)
    flakes = np.zeros(shape, np.float32)
    for _ in range(random.integers(1, 3)):
        flakes += random.uniform(-0.14, 0.14) * (drawn > random.uniform(-0.5, 1.3))
    # They cover a part of the strip.
    size = log_uniform(random, 60, 400)
    cover = np.clip(texture(random, shape, size, size) + random.uniform(-0.5, 2), 0, 1)
    return np.asarray(blurred(flakes, log_uniform(random, 0.3, 3)) * cover, np.float32)


def _bands(random: Random, shape: Shape) -> Image:
    """Bright or dark bands along the frame with straight sides, as wipers and guides leave them."""
    lines, pixels = shape
    bands = np.zeros((1, pixels), np.float32)
    for _ in range(random.integers(1, 8)):
        start, width = random.integers(pixels), int(log_uniform(random, 14, 400))
        bands[:, start : start + width] += random.uniform(-0.3, 0.4)
    bands = blurred(np.tile(bands, (3, 1)), log_uniform(random, 0.5, 8))[:1]
    along = np.clip(1 + 0.5 * texture(random, (lines, 4), 60, 0.3)[:, :1], 0, 2)
    return np.asarray(bands * along, np.float32)
