"""What is made of a buffer on its way to a frame message, one replaceable part each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.base import Buffer, OpenCamera, Pixels
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Camera, Config
from stripwatch.wire.clock import CameraClock
from stripwatch.wire.light import LightFaults


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

    mean: float | None = None  # grey, after flat field
    faults: LightFaults | None = None  # that are open; None: not known yet


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one camera's chain, called in this order for each buffer that is whole."""

    to_grey: Callable[[Pixels], NDArray[np.uint8]]  # 10 or 12 bit to 8, then flat field
    watch: Callable[[NDArray[np.uint8]], Light]
    place: Callable[[Buffer], Place]  # also of a buffer that is not whole, to keep count
    captured_ns: Callable[[Buffer], int]  # Unix time of capture
    clock: Callable[[], CameraClock]  # what is known of the camera's clock by now
    status: Callable[[], dict[str, object]]  # figures, once a second
    close: Callable[[], None]


def make_parts(config: Config, camera: Camera, source: CameraSource, opened: OpenCamera) -> Parts:
    """The parts that a camera's configuration asks for.

    Raises:
        ConfigError: a part's settings do not fit the camera, or a reference cannot be used.
    """
    from stripwatch.camera.clock import CaptureClock
    from stripwatch.camera.light.part import LightPart
    from stripwatch.camera.strip.part import StripPart

    light = LightPart(config, camera, source)
    strip = StripPart(config.line, camera.name, source, opened.read)
    clock = CaptureClock(opened.read)

    def status() -> dict[str, object]:
        clock.look()
        return {**strip.figures(), **clock.figures(), **light.figures()}

    return Parts(
        to_grey=light.to_grey,
        watch=light.watch,
        place=strip.place,
        captured_ns=clock.captured_ns,
        clock=clock.told,
        status=status,
        close=strip.close,
    )
