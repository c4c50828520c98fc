"""A video file as frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.frame import Source, SourceFrame, raw_frame

FRAMES_PER_S_MAX = 1_000_000  # higher values in a header are ignored


def video_source(path: Path, frame_shape: tuple[int, int] | None) -> Source:
    """A video's pictures in grey, cut into frames of at most `frame_shape` lines.

    The rows of a picture follow each other along the strip, so a picture that is taller than a
    frame becomes several frames.

    Raises:
        StorageError: the file is not a video that OpenCV can read.
        ConfigError: its pictures are not as wide as a frame.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        read, picture = capture.read()
        frames_per_s = capture.get(cv2.CAP_PROP_FPS)
        pictures = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()
    if not read:
        raise StorageError(f"{path} is not a video that can be read; give an MP4, AVI or MKV file")
    height, width = picture.shape[:2]
    lines, pixels = frame_shape or (height, width)
    if width != pixels:
        raise ConfigError(
            f"{path} is {width} pixels wide, the frames here are {pixels}; crop the video first"
        )
    timed = 0 < frames_per_s < FRAMES_PER_S_MAX
    period_ns = 1e9 / frames_per_s if timed else None
    per_picture = -(-height // lines)

    def frames() -> Iterator[SourceFrame]:
        for number, grey in enumerate(_pictures(path)):
            for index in range(per_picture):
                part = grey[index * lines : (index + 1) * lines]
                moment = number + index / per_picture
                yield raw_frame(part, None if period_ns is None else round(moment * period_ns))

    return Source(
        name=path.stem,
        frames=frames,
        count=pictures * per_picture if pictures > 0 else None,
        timed=timed,
    )


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a video in grey, uint8 [height, width]."""
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            read, picture = capture.read()
            if not read:
                return
            grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            yield np.asarray(grey, np.uint8)
    finally:
        capture.release()
