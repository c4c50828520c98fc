"""Surfaces that are rolled on purpose, and pieces of sheet that lie over each other."""

from __future__ import annotations

import cv2
import numpy as np

from stripwatch_train.data.varied.noise import Image, Random, Shape, blurred, log_uniform, texture


def pattern(random: Random, shape: Shape) -> Image | None:
    """A factor, float32 [lines, pixels], of mean about 1; None for most strips."""
    chance = random.random()
    if chance < 0.12:
        return _tread_plate(random, shape)
    if chance < 0.20:
        return _fine_pattern(random, shape)
    if chance < 0.28:
        return _pieces(random, shape)
    return None


def _tread_plate(random: Random, shape: Shape) -> Image:
    """Raised bars in a lattice, lit from one side; bars of a lozenge, or rows of tears."""
    lines, pixels = shape
    pitch_px, pitch_lines = log_uniform(random, 40, 220), log_uniform(random, 60, 340)
    half = np.array([pitch_px, pitch_lines]) * random.uniform(0.25, 0.52)
    thickness = max(3, int(min(pitch_px, pitch_lines) * random.uniform(0.06, 0.22)))
    raised = np.zeros(shape, np.uint8)
    offset = random.uniform(0, 1, 2)
    centres = [
        ((column + offset[0] + 0.5 * (row % 2)) * pitch_px, (row + offset[1]) * pitch_lines / 2)
        for row in range(-2, int(2 * lines / pitch_lines) + 3)
        for column in range(-2, int(pixels / pitch_px) + 3)
    ]
    is_lozenge = random.random() < 0.6
    for number, (x, y) in enumerate(centres):
        turns = (1, -1) if is_lozenge else ((1,) if number % 2 else (-1,))
        for turn in turns:
            middle, arm = np.array((x, y)), half / 2 * (1, turn)
            start, end = np.round([middle - arm, middle + arm]).astype(int).tolist()
            cv2.line(raised, start, end, 1, thickness, cv2.LINE_AA)
    height = blurred(raised.astype(np.float32), log_uniform(random, 0.8, 4))
    height *= 1 + 0.2 * texture(random, shape, 8, 8)
    shift = int(random.integers(1, 5))
    # A slope towards the lamp is bright, one away from it dark.
    across, along = (np.roll(height, shift, by) - np.roll(height, -shift, by) for by in (1, 0))
    lit = across + random.uniform(-1, 1) * along
    top = random.uniform(-0.2, 0.4) * height
    return np.asarray(1 + random.uniform(0.1, 0.6) * lit + top, np.float32)


def _fine_pattern(random: Random, shape: Shape) -> Image:
    """A fine lattice or ripple, as textured rolls and grinding leave it."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    wave = np.zeros(shape, np.float32)
    for _ in range(random.integers(1, 3)):
        angle, length = random.uniform(0, np.pi), log_uniform(random, 3, 40)
        phase = texture(random, shape, 60, 60) * random.uniform(0, 1)
        wave += np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + phase)
    return np.asarray(1 + log_uniform(random, 0.01, 0.12) * wave, np.float32)


def _pieces(random: Random, shape: Shape) -> Image:
    """Large pieces of other brightness with straight or torn sides, some with a shadow."""
    lines, pixels = shape
    factor = np.ones(shape, np.float32)
    for _ in range(random.integers(1, 7)):
        corners = random.integers(3, 6)
        middle = random.uniform((0, 0), (pixels, lines))
        reach = log_uniform(random, 150, 700)
        turns = np.sort(random.uniform(0, 2 * np.pi, corners))
        points = middle + reach * random.uniform(0.6, 1, (corners, 1)) * np.stack(
            [np.cos(turns), np.sin(turns)], axis=1
        )
        inside = np.zeros(shape, np.uint8)
        cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1)
        if random.random() < 0.5:  # torn
            wander = texture(random, shape, 12, 12) * log_uniform(random, 2, 20)
            inside = (blurred(inside.astype(np.float32), 12) + 0.01 * wander > 0.5).astype(np.uint8)
        soft = blurred(inside.astype(np.float32), log_uniform(random, 0.5, 3))
        if random.random() < 0.6:
            shadow = blurred(inside.astype(np.float32), log_uniform(random, 5, 25))
            factor *= 1 - random.uniform(0.2, 0.9) * shadow
            factor += soft * (random.uniform(0.5, 1.8) - factor)
        else:
            factor *= 1 + soft * random.uniform(-0.8, 0.8)
    return np.clip(factor, 0.02, 3)
