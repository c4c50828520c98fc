"""What is made of a buffer on its way to a frame message, one replaceable part each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.base import Buffer, OpenCamera, Pixels
from stripwatch.config.sections import Camera
from stripwatch.errors import CameraError


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the strip a frame lies."""

    strip: str | None = None  # coil id
    line: int | None = None  # of its first line since the strip's start
    line_reversed: bool = False
    end: bool = False  # the strip's last frame


@dataclass(frozen=True, slots=True)
class Light:
    """What the watch over the light found in a frame."""

    mean: float | None = None  # grey, after flat field; goes into the frame's header
    fault: str = ""  # in words, while there is one


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one camera's chain, called in this order for each buffer that is whole."""

    to_grey: Callable[[Pixels], NDArray[np.uint8]]  # 10 or 12 bit to 8, then flat field
    watch: Callable[[NDArray[np.uint8]], Light]
    place: Callable[[Buffer], Place]  # also of a buffer that is not whole, to keep count
    captured_ns: Callable[[Buffer], int]  # Unix time of capture
    status: Callable[[], dict[str, object]]  # figures for the log's `camera` line


def make_parts(camera: Camera, opened: OpenCamera) -> Parts:
    """The parts that a camera's configuration asks for.

    Raises:
        ConfigError: a part's settings do not fit the camera.
        StorageError: a reference cannot be read.
    """
    del camera, opened
    return Parts(
        to_grey=_eight_bits,
        watch=lambda _: Light(),
        place=lambda _: Place(),
        captured_ns=lambda buffer: buffer.host_ns,
        status=dict,
    )


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype != np.uint8:
        raise CameraError(f"the camera sends {pixels.dtype} pixels; set pixel_format to Mono8")
    return pixels  # type: ignore[return-value]  # narrowed by its dtype
