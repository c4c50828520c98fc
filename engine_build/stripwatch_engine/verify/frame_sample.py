"""Frames to calibrate on and to verify on: a sample of a source, or made."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from stripwatch.engines.base import Frames
from stripwatch.errors import ConfigError
from stripwatch.feed.sources import SourceFrame, open_source
from stripwatch.synthetic import SyntheticStrip
from stripwatch.wire.causes import WireError
from stripwatch.wire.frame import FrameHeader, frame_pixels
from stripwatch_engine.settings import SYNTHETIC
from stripwatch_engine.verify.pattern import pattern_frames

CALIBRATION_SEED, VERIFICATION_SEED = 101, 1  # of the synthetic strip: different frames
PATTERN = "test pattern"
DEFECTS_PER_1000_LINES = 20.0  # far more than on a line, so that every class occurs


@dataclass(frozen=True)
class FrameSample:
    """Frames of one size, and their source."""

    source: str
    frames: Frames  # uint8 [n, lines, pixels]
    asked: int  # frames that were asked for; a source may hold fewer
    left_out: str = ""  # remark of the source about files that it does not read
    # More of the source, for classes that `frames` do not show.
    spare: Frames = field(default_factory=lambda: np.zeros((0, 1, 1), np.uint8))

    @property
    def is_pattern(self) -> bool:
        """Whether these are no frames that a model was trained for."""
        return self.source == PATTERN

    @property
    def is_generated(self) -> bool:
        """Whether frames come from a seed: samples for different purposes share none."""
        return self.source in (PATTERN, SYNTHETIC)

    def remark(self, what: str, flag: str) -> str:
        """Sentence about a source that is too small, or has files that are not read; "" = none.

        Args:
            what: is done on the frames, such as "verified".
            flag: that asks for a number of frames.
        """
        few = ""
        if len(self.frames) < self.asked:
            few = f"{self.source} has no more ({flag} {self.asked})"
        reasons = "; ".join(reason for reason in (few, self.left_out) if reason)
        return f"{what} on {len(self.frames)} frames: {reasons}" if reasons else ""

    def digest(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(self.frames.tobytes() + self.spare.tobytes()).hexdigest()


def sample_frames(
    source_text: str, frame_shape: tuple[int, int], count: int, *, seed: int, spare: int = 0
) -> FrameSample:
    """Read frames, spread evenly over a source.

    Args:
        source_text: a folder of images, a video, a recording, "synthetic" or PATTERN.
        frame_shape: lines, pixels; the last line of shorter frames is repeated.
        count: largest number of frames.
        seed: of the synthetic strip and of the pattern.
        spare: largest number of further frames of a source that is neither of these.

    Raises:
        ConfigError: there is no such source, it is empty, or a frame has another size.
        StorageError: the source cannot be read.
    """
    if source_text == PATTERN:
        return FrameSample(PATTERN, pattern_frames(frame_shape, count, seed), count)
    if source_text == SYNTHETIC:
        strip = SyntheticStrip(seed, frame_shape, DEFECTS_PER_1000_LINES)
        pixels = [strip.frame(index).pixels for index in range(count)]
        return FrameSample(SYNTHETIC, np.stack(pixels), count)
    source = open_source(source_text, frame_shape=frame_shape)
    read = _spread(source.frames(), count + spare, source.count)
    if not read:
        raise ConfigError(f"{source_text} holds no frames; name a source that has some")
    frames = np.stack([_padded(_decode(frame), frame_shape) for frame in read])
    chosen = _even_places(len(frames), count)
    others = [place for place in range(len(frames)) if place not in chosen]
    return FrameSample(source_text, frames[chosen], count, source.remark(), frames[others])


def _even_places(length: int, count: int) -> list[int]:
    """At most `count` places, spread evenly over `length`."""
    shown = min(count, length)
    return [place * length // shown for place in range(shown)]


def _spread(frames: Iterable[SourceFrame], count: int, length: int | None) -> list[SourceFrame]:
    """At most `count` frames, spread evenly from the beginning to the end.

    Where their number is unknown, every frame is kept at first, then every second, every fourth,
    so that fewer than twice as many as asked for are held.
    """
    if length:
        places = _even_places(length, count)
        first = itertools.islice(frames, places[-1] + 1)
        return [frame for place, frame in enumerate(first) if place in places]
    kept: list[SourceFrame] = []
    step = 1
    for index, frame in enumerate(frames):
        if index % step == 0:
            kept.append(frame)
            if len(kept) == 2 * count:
                kept, step = kept[::2], 2 * step
    return [kept[place] for place in _even_places(len(kept), count)]


def _decode(frame: SourceFrame) -> Frames:
    """Decode one frame exactly as the daemon does; uint8 [lines, pixels]."""
    header = FrameHeader(
        camera="sample",
        session="sample",
        seq=0,
        v=1,
        t_ns=0,
        shape=frame.shape,
        dtype="u8",
        codec=frame.codec,
    )
    try:
        return frame_pixels(header, frame.payload)
    except WireError as error:
        raise ConfigError(f"a frame cannot be decoded ({error}); remove it") from error


def _padded(pixels: Frames, frame_shape: tuple[int, int]) -> Frames:
    """Repeat the last line up to the frame's shape."""
    if pixels.shape[1] != frame_shape[1] or pixels.shape[0] > frame_shape[0]:
        raise ConfigError(
            f"a frame is {pixels.shape[0]}x{pixels.shape[1]}, --frame says "
            f"{frame_shape[0]}x{frame_shape[1]}; name frames of the engine's size"
        )
    missing = frame_shape[0] - pixels.shape[0]
    return np.pad(pixels, ((0, missing), (0, 0)), mode="edge")
