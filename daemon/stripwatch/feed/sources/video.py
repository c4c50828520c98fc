"""A video file as frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.frame import Source, SourceFrame, raw_frame

FRAMES_PER_S_MAX = 1_000_000  # higher values in a header are ignored
AV_LOG_QUIET = "-8"  # libavutil/log.h
PICTURES_MAX = 10**9  # higher values in a header are ignored
# Containers without a table of pictures give their duration, from which the count is an estimate.
ESTIMATE_MISSING_SHARE = 0.01
ESTIMATE_MISSING = 2
_BEGINS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and MPEG-2 video
    b"\x00\x00\x01\xb0",  # MPEG-4 part 2 video
    b"\x00\x00\x00\x01",  # H.264 and H.265 video
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"FLV\x01",
    b"OggS",
    b"YUV4MPEG2",
    b"DKIF",  # IVF
    b"\x06\x0e\x2b\x34",  # MXF
    b".RMF",
)
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # MP4, MOV, 3GP
# Packets of MPEG transport streams begin with a byte 0x47; offset and length in .ts and .m2ts.
_PACKETS = ((0, 188), (4, 192))
_PACKETS_MIN = 3


def is_video(magic: bytes) -> bool:
    """Whether the first bytes of a file, of which 1024 are enough, are those of a video.

    A decoder that is asked to guess reads text, audio and noise as pictures.
    """
    if magic.startswith(_BEGINS) or magic[4:8] in _ATOMS or _is_avi(magic):
        return True
    return any(
        len(magic) >= size * _PACKETS_MIN and set(magic[offset::size]) == {0x47}
        for offset, size in _PACKETS
    )


def _is_avi(magic: bytes) -> bool:
    return magic[:4] == b"RIFF" and magic[8:11] == b"AVI"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the header of a video says; each value may be wrong."""

    shape: tuple[int, int]  # lines, pixels of the first picture
    frames_per_s: float | None
    pictures: int | None
    exact: bool  # pictures is counted, not estimated from the duration


def video_source(path: Path, frame_shape: tuple[int, int] | None) -> Source:
    """A video's pictures in grey, cut into frames of at most `frame_shape` lines.

    The rows of a picture follow each other along the strip, so a picture that is taller than a
    frame becomes several frames. A video that ends before the number of pictures in its header is
    an error at its end: the strip would seem to end there.

    Raises:
        StorageError: the file is not a video that OpenCV can read.
        ConfigError: its pictures are not as wide as a frame.
    """
    facts = _facts(path)
    height, width = facts.shape
    lines, pixels = frame_shape or (height, width)
    if width != pixels:
        raise ConfigError(
            f"{path} is {width} pixels wide, the frames here are {pixels}; crop the video first"
        )
    period_ns = 1e9 / facts.frames_per_s if facts.frames_per_s else None
    per_picture = -(-height // lines)
    remarks: list[str] = []

    def frames() -> Iterator[SourceFrame]:
        read = 0
        for number, grey in enumerate(_pictures(path)):
            if grey.shape != (height, width):
                raise StorageError(
                    f"{path}: picture {number + 1} is {grey.shape[0]} x {grey.shape[1]}, those "
                    f"before are {height} x {width} (lines x pixels); replay one part at a time"
                )
            for index in range(per_picture):
                part = grey[index * lines : (index + 1) * lines]
                moment = number + index / per_picture
                yield raw_frame(part, None if period_ns is None else round(moment * period_ns))
            read = number + 1
        remarks[:] = _check_end(path, facts, read)

    return Source(
        name=path.stem,
        frames=frames,
        count=facts.pictures * per_picture if facts.pictures else None,
        timed=period_ns is not None,
        remark=lambda: "".join(remarks),
    )


def _facts(path: Path) -> _Facts:
    with path.open("rb") as file:
        begin = file.read(16)
    capture = _open(path)
    try:
        read, picture = capture.read()
        frames_per_s = capture.get(cv2.CAP_PROP_FPS)
        pictures = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    if not read:
        raise StorageError(
            f"{path} is not a video that can be read; give a whole MP4, AVI or MKV file"
        )
    return _Facts(
        shape=(picture.shape[0], picture.shape[1]),
        frames_per_s=frames_per_s if 0 < frames_per_s < FRAMES_PER_S_MAX else None,
        pictures=round(pictures) if 0 < pictures < PICTURES_MAX else None,
        exact=_is_avi(begin) or begin[4:8] in _ATOMS,
    )


def _open(path: Path) -> cv2.VideoCapture:
    """A capture that prints nothing: of a damaged video libav prints thousands of lines."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", AV_LOG_QUIET)  # libav's only switch
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


def _check_end(path: Path, facts: _Facts, read: int) -> list[str]:
    """Compare the pictures that were read with the header's count; returns remarks.

    Raises:
        StorageError: too few were read: the file is cut or damaged.
    """
    missing = (facts.pictures or 0) - read
    if missing <= 0:
        return []
    counted = f"{read} of the {facts.pictures} pictures that the header of the video promises"
    tolerated = max(ESTIMATE_MISSING, (facts.pictures or 0) * ESTIMATE_MISSING_SHARE)
    if facts.exact or missing > tolerated:
        raise StorageError(
            f"{path} is cut or damaged: {counted} could be read; copy or export it again, or "
            "convert the part that is good"
        )
    return [f"{counted} could be read"]


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a video in grey, uint8 [height, width]."""
    capture = _open(path)
    try:
        while True:
            read, picture = capture.read()
            if not read:
                return
            grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            yield np.asarray(grey, np.uint8)
    finally:
        capture.release()
