"""A frame to send, and a source of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.wire.frame import FrameHeader

Codec = Literal["raw", "png", "jpeg"]


class SourceFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame, before a camera has numbered it."""

    payload: bytes | memoryview  # uint8 pixels in C order, or a PNG or JPEG file
    shape: tuple[int, int]  # lines, pixels
    codec: Codec = "raw"
    t_ns: int | None = None  # when it was captured, on any clock; None if unknown
    recorded: FrameHeader | None = None  # as the camera sent it, where it comes from a recording


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Frames that can be iterated any number of times."""

    name: str  # default name of the strip made of it
    frames: Callable[[], Iterator[SourceFrame]]  # starts one pass, from the first frame
    count: int | None  # frames of one pass; None if unknown before the end
    cameras: tuple[str, ...] = ()  # of a recording: those that sent the frames
    timed: bool = False  # its frames carry t_ns
    remark: Callable[[], str] = str  # what could not be read so far; "" = nothing


def raw_frame(pixels: NDArray[np.uint8], t_ns: int | None = None) -> SourceFrame:
    """A frame of uncoded pixels, uint8 [lines, pixels]."""
    shape = (pixels.shape[0], pixels.shape[1])
    return SourceFrame(payload=np.ascontiguousarray(pixels).data.cast("B"), shape=shape, t_ns=t_ns)
