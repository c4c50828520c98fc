"""The light's part of a camera's chain: to 8 bits, flat field, and the watch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from stripwatch.camera.base import Pixels
from stripwatch.camera.encoder import hide_count
from stripwatch.camera.light.flat_field import (
    Correction,
    FlatField,
    load_flat_field,
    to_8_bits,
)
from stripwatch.camera.light.reference import load_light_reference, save_light_reference
from stripwatch.camera.light.watch import LightWatch
from stripwatch.camera.parts import Light
from stripwatch.config.cameras import CameraSource
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Camera, Config
from stripwatch.errors import CameraError, ConfigError

_PIXEL_FORMAT = re.compile(r"Mono(8|10|12|14|16)")  # one pixel in one or two whole bytes


def flat_field_path(section: LightSection, camera: str) -> Path:
    """Where the flat field of a camera is kept."""
    return Path(section.folder) / f"{camera}-flat-field.json"


def light_path(section: LightSection, camera: str) -> Path:
    """Where the reference of the watch is kept."""
    return Path(section.folder) / f"{camera}-light.json"


def bits_of(pixel_format: str) -> int:
    """Bits of a pixel.

    Raises:
        ConfigError: it is no grey format, or a packed one.
    """
    found = _PIXEL_FORMAT.fullmatch(pixel_format)
    if found is None:
        raise ConfigError(
            f"pixel_format = {pixel_format!r}: give Mono8, Mono10, Mono12, Mono14 or Mono16"
        )
    return int(found[1])


class LightPart:
    """Corrects and watches the frames of one camera; belongs to the thread of its frames."""

    def __init__(self, config: Config, camera: Camera, source: CameraSource) -> None:
        """Load what the calibration has left.

        Raises:
            ConfigError: a file is missing or damaged, or the pixel format is none of grey.
        """
        self._camera = camera.name
        self._section = source.light
        self._embedded = source.line.embedded if source.line else None
        self._bits = bits_of(source.pixel_format)
        self._grey = np.empty(config.line.frame_shape, np.uint8)
        self._field: FlatField | None = None
        self._correction: Correction | None = None
        if source.light.flat_field:
            path = flat_field_path(source.light, camera.name)
            self._field = load_flat_field(path, camera.name, config.line.frame_pixels, self._bits)
            self._correction = Correction(self._field, config.line.frame_lines)
        self._watch: LightWatch | None = None
        if source.light.watch:
            known = load_light_reference(
                light_path(source.light, camera.name),
                camera.name,
                self._hash,
                config.line.frame_pixels,
            )
            background = config.strip.background_grey_max
            self._watch = LightWatch(source.light, config.line, background, known)
        self._kept = self._watch.reference if self._watch else None
        self._mean: float | None = None

    def to_grey(self, pixels: Pixels) -> NDArray[np.uint8]:
        """The frame in 8 bits after flat field, uint8 [lines, pixels]; valid until the next."""
        if pixels.itemsize != (1 if self._bits == 8 else 2):
            raise CameraError(
                f"the camera sends pixels of {pixels.itemsize} bytes, which is not the "
                f"pixel_format of the configuration"
            )
        grey = self._grey[: pixels.shape[0]]
        if self._correction:
            self._correction.apply(pixels, grey)
        else:
            to_8_bits(pixels, self._bits, grey)
        if self._embedded and self._embedded.row < grey.shape[0]:
            hide_count(grey, self._embedded)
        return grey

    def watch(self, grey: NDArray[np.uint8]) -> Light:
        """What the frame's header tells of its light."""
        if self._watch is None:
            self._mean = round(float(grey.mean()), 2)
            return Light(self._mean)
        self._mean = round(self._watch.look(grey), 2)
        self._keep()
        return Light(self._mean, self._watch.faults)

    def figures(self) -> dict[str, object]:
        """For the log: the mean grey, and the level as share of the reference."""
        figures: dict[str, object] = {}
        if self._mean is not None:
            figures["light"] = self._mean
        if self._watch and self._watch.level is not None:
            figures["light_level"] = round(self._watch.level, 3)
        return figures

    @property
    def _hash(self) -> str:
        return self._field.sha256 if self._field else ""

    def _keep(self) -> None:
        """Write what the watch has learnt, so that the next process compares with the same."""
        assert self._watch is not None
        reference = self._watch.reference
        if reference is None or reference is self._kept:
            return
        self._kept = reference
        path = light_path(self._section, self._camera)
        log = structlog.get_logger().bind(camera=self._camera, file=str(path))
        try:
            save_light_reference(path, reference, self._camera, self._hash)
        except OSError as error:
            log.warning("the light's reference cannot be kept", error=str(error))
        else:
            log.info("the light's reference is learnt", grey=reference.grey)
