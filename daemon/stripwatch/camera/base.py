"""What a library that reaches cameras offers: the interface of Aravis, GenTL and pylon.

A driver is one module with a class that has the methods of `CameraLibrary`. All calls to one open
camera come from one thread. Whatever the camera or its library does wrong is a `CameraError`;
what the user asked for and the camera refuses is a `ConfigError` with the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stripwatch.config.cameras import CameraSource, FeatureValue

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


class BufferStatus(StrEnum):
    """What is known about the pixels of a buffer."""

    COMPLETE = "complete"  # every line of `pixels` was received
    INCOMPLETE = "incomplete"  # something is missing: the rest holds pixels of an older frame


@dataclass(frozen=True, slots=True)
class Buffer:
    """One frame in the library's own memory, valid until `OpenCamera.release`."""

    pixels: Pixels  # [lines, pixels], a view; fewer lines than asked for where the strip stopped
    frame_id: int  # as the camera counts; of an incomplete buffer it means nothing
    device_ns: int | None  # time of the frame's start on the camera's clock; None: it tells none
    host_ns: int  # Unix time at which the frame began to arrive
    status: BufferStatus
    detail: str  # of an incomplete buffer: why, for the log; else ""
    chunks: Mapping[str, int | float]  # of the names given to `start`, those that came
    token: object  # the library's own handle


@dataclass(frozen=True, slots=True)
class Discovered:
    """A camera that a library sees; every text may be empty."""

    kind: str  # of `CameraSource`
    id: str  # what to write into the configuration
    make: str
    model: str
    serial: str
    address: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of a camera, as `stripwatch camera show` lists it."""

    name: str
    value: FeatureValue | None  # None: cannot be read now
    allowed: str = ""  # the range or the choices, in words; "" = nothing known
    choices: tuple[str, ...] = ()  # of an enumeration
    writable: bool = False
    unit: str = ""
    group: str = ""  # the camera's own heading


class OpenCamera(Protocol):
    """A camera that is open, and delivers buffers once it is configured and started."""

    @property
    def identity(self) -> Discovered:
        """What was opened."""

    @property
    def frame_id_period(self) -> int | None:
        """65535 where ids run 1..65535 and begin again at 1; None: they never wrap."""

    def feature(self, name: str) -> Feature | None:
        """A feature with its range; None: the camera has no such feature now."""

    def features(self) -> list[Feature]:
        """Every feature, with its range."""

    def read(self, name: str) -> FeatureValue:
        """The value of a feature now. CameraError: it cannot be read."""

    def write(self, name: str, value: FeatureValue) -> None:
        """Set a feature. ConfigError: there is none, or it refuses; says what is allowed."""

    def start(self, buffers: int, chunks: Sequence[str]) -> None:
        """Allocate buffers of the frame's size and begin to deliver.

        The values of the named chunks come with each buffer. ConfigError: there is no such chunk.
        """

    def next_buffer(self, timeout_s: float) -> Buffer | None:
        """The next buffer in order, whatever its status; None: none came in time."""

    def release(self, buffer: Buffer) -> None:
        """Give a buffer back; its pixels may change from now on."""

    def check_alive(self) -> None:
        """Ask the camera for something. CameraError: it does not answer."""

    def close(self) -> None:
        """Stop and give everything back; raises nothing."""


class CameraLibrary(Protocol):
    """A library that finds and opens cameras."""

    def discover(self) -> list[Discovered]:
        """Every camera in sight. Call it in no process that holds an open camera."""

    def open(self, source: CameraSource) -> OpenCamera:
        """Open one camera and take control of it; nothing is configured yet (`essentials.py`).

        Raises:
            ConfigError: there is no such camera, or several fit; names what there is.
            CameraError: the camera does not answer.
        """
