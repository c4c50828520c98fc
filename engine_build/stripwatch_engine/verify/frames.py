"""Frames to calibrate with and to verify on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.feed.sources import SourceFrame, open_source
from stripwatch.synthetic import SyntheticStrip

CALIBRATION_SEED, VERIFICATION_SEED = 101, 1  # of the synthetic strip: never the same frames

SYNTHETIC = "synthetic"
DEFECTS_PER_1000_LINES = 20.0  # many more than on a line: every class shall be seen


@dataclass(frozen=True)
class FrameSet:
    """Frames of one size and where they came from."""

    source: str
    frames: NDArray[np.uint8]  # [n, lines, pixels]

    def digest(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(self.frames.tobytes()).hexdigest()


def load_frames(
    source_text: str, frame_shape: tuple[int, int], count: int, *, seed: int
) -> FrameSet:
    """Read frames, spread evenly over a source.

    Args:
        source_text: a folder of images, a video, a recording, or "synthetic".
        frame_shape: lines, pixels; frames with fewer lines are continued below.
        count: how many at most.
        seed: of the synthetic strip.

    Raises:
        ConfigError: there is no such source, or nothing in it.
        StorageError: it cannot be read.
    """
    if source_text == SYNTHETIC:
        strip = SyntheticStrip(seed, frame_shape, DEFECTS_PER_1000_LINES)
        return FrameSet(SYNTHETIC, np.stack([strip.frame(index).pixels for index in range(count)]))
    source = open_source(source_text, frame_shape=frame_shape)
    step = max(1, (source.count or count) // count)
    frames = []
    for index, frame in enumerate(source.frames()):
        if index % step == 0:
            frames.append(_pixels(frame, frame_shape))
        if len(frames) == count:
            break
    if not frames:
        raise ConfigError(f"{source_text} holds no frames; name a source with some")
    return FrameSet(source_text, np.stack(frames))


def _pixels(frame: SourceFrame, frame_shape: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 [lines, pixels] of one frame."""
    data = np.frombuffer(frame.payload, np.uint8)
    if frame.codec == "raw":
        pixels = data.reshape(frame.shape)
    else:
        decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        if decoded is None:
            raise ConfigError(f"a {frame.codec} frame cannot be decoded; leave it out")
        pixels = np.asarray(decoded, np.uint8)
    if pixels.shape[1] != frame_shape[1] or pixels.shape[0] > frame_shape[0]:
        raise ConfigError(
            f"a frame is {pixels.shape[0]}x{pixels.shape[1]}, --frame says "
            f"{frame_shape[0]}x{frame_shape[1]}; name frames of the engine's size"
        )
    missing = frame_shape[0] - pixels.shape[0]
    return np.pad(pixels, ((0, missing), (0, 0)), mode="edge")
