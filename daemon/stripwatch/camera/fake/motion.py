"""The strip under the fake camera: how it moves, and what its lines look like.

Pure: time is given, not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.feed.sources.frame import Source, SourceFrame

LINES_KEPT = 16_384  # of a strip, which then repeats: 64 frames of 256 lines
LEG = re.compile(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Motion:
    """Legs of constant speed (lines/s, seconds), repeated for ever."""

    legs: tuple[tuple[float, float], ...]

    def lines_at(self, time_s: float) -> int:
        """Lines that have passed since the start: the count of an encoder with one a line."""
        turn_s = sum(seconds for _, seconds in self.legs)
        turn_lines = sum(speed * seconds for speed, seconds in self.legs)
        turns, rest_s = divmod(time_s, turn_s)
        passed = turns * turn_lines
        for speed, seconds in self.legs:
            passed += speed * min(rest_s, seconds)
            rest_s -= min(rest_s, seconds)
        return int(passed)


def parse_motion(text: str) -> Motion:
    """A motion as it is written: "25600", or legs such as "25600x10,0x3,12800x5".

    Raises:
        ConfigError: it is neither.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text += "x1"
    matches = [LEG.fullmatch(part.strip()) for part in text.split(",")]
    legs = tuple((float(found[1]), float(found[2])) for found in matches if found)
    if len(legs) != len(matches) or sum(seconds for _, seconds in legs) <= 0:
        raise ConfigError(
            f"--motion {text!r}: give lines per second, such as 25600, or legs of lines per second "
            "x seconds, such as 25600x10,0x3,12800x5"
        )
    return Motion(legs)


class StripLines:
    """The lines of a source one after another; the first `LINES_KEPT` of them, repeated."""

    def __init__(self, source: Source, pixels: int) -> None:
        """Read them into memory.

        Raises:
            ConfigError: the source is empty.
            StorageError: it cannot be read.
        """
        frames: list[NDArray[np.uint8]] = []
        for frame in source.frames():
            frames.append(_fitted(_decoded(frame), pixels))
            if sum(map(len, frames)) >= LINES_KEPT:
                break
        if not frames:
            raise ConfigError(f"{source.name} has no frames")
        self._lines = np.concatenate(frames)[:LINES_KEPT]
        self._next = 0

    def take(self, count: int) -> NDArray[np.uint8]:
        """The next lines, uint8 [count, pixels]; a view where that is possible."""
        start = self._next
        self.skip(count)
        if start + count <= len(self._lines):
            return self._lines[start : start + count]
        rows = np.arange(start, start + count) % len(self._lines)
        return self._lines[rows]

    def skip(self, count: int) -> None:
        """Lines that pass and are not taken."""
        self._next = (self._next + count) % len(self._lines)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A frame that the camera has taken."""

    first_count: int  # of the encoder at its first line
    lines: int
    skipped: int  # lines that passed within it and were not taken


class LineTaker:
    """Cuts the strip into frames as an encoder-driven camera does."""

    def __init__(self, frame_lines: int, line_rate_max: float, timeout_s: float | None) -> None:
        """Begin with an empty frame.

        Args:
            frame_lines: lines of a full frame.
            line_rate_max: lines a second that the camera can take; more are skipped.
            timeout_s: after which a frame that has begun leaves, full or not; None: never.
        """
        self._frame_lines = frame_lines
        self._line_rate_max = line_rate_max
        self._timeout_s = timeout_s
        self._taken = self._skipped = 0
        self._first_count = 0
        self._begun_s = 0.0
        self._owed = 0.0  # parts of a line that the camera could have taken more

    def advance(self, count: int, passed: int, now_s: float, step_s: float) -> Iterator[Exposure]:
        """The frames that end while `passed` lines pass, from the encoder's `count` on."""
        could = passed
        if passed > self._line_rate_max * step_s:
            self._owed += self._line_rate_max * step_s
            could = min(passed, int(self._owed))
            self._owed -= could
        ratio = passed / could if could else 0.0
        done = passed_then = 0
        while done < could:
            if not self._taken:
                self._first_count, self._begun_s = count + passed_then, now_s
            part = min(could - done, self._frame_lines - self._taken)
            done += part
            before, passed_then = passed_then, round(done * ratio)
            self._taken += part
            self._skipped += passed_then - before - part
            if self._taken == self._frame_lines:
                yield self._finish()
        if not could and self._taken:
            self._skipped += passed
        if self._taken and self._timeout_s and now_s - self._begun_s >= self._timeout_s:
            yield self._finish()

    def _finish(self) -> Exposure:
        exposure = Exposure(self._first_count, self._taken, self._skipped)
        self._taken = self._skipped = 0
        return exposure


def _decoded(frame: SourceFrame) -> NDArray[np.uint8]:
    if frame.codec == "raw":
        return np.frombuffer(frame.payload, np.uint8).reshape(frame.shape)
    image = cv2.imdecode(np.frombuffer(frame.payload, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ConfigError(f"a frame of the source cannot be decoded as {frame.codec}")
    return image.astype(np.uint8, copy=False)


def _fitted(image: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Cut to a width, or filled up with black at the right."""
    if image.shape[1] >= pixels:
        return image[:, :pixels]
    return np.pad(image, ((0, 0), (0, pixels - image.shape[1])))
