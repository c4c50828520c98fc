"""A look at what a camera delivers: rates, losses, intervals, grey values; for `camera test`."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.base import BufferStatus, OpenCamera, Pixels
from stripwatch.camera.numbering import Losses, SessionNumbers
from stripwatch.camera.parts import Place
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Geometry

POP_S = 0.25
DARK_SHARE, BRIGHT_SHARE = 0.2, 0.98  # of the scale: darker is lost in noise, brighter clips

NO_FRAME = (
    "no frame came: does the strip, or whatever turns the encoder, move? With "
    'trigger = "free" the camera needs no encoder'
)


class Survey:
    """What was seen of a camera; grey values are the camera's own, before flat field."""

    def __init__(self, source: CameraSource, geometry: Geometry, id_period: int | None) -> None:
        self.bits = grey_bits(source.pixel_format)
        self._lines_lost_chunk = source.lines_lost_chunk
        self._frame_lines = geometry.frame_lines
        self._numbers = SessionNumbers(id_period)
        self._last_s: float | None = None
        self.frames = self.short_frames = self.lines = self.bytes = 0
        self.duration_s = 0.0
        self.intervals_s: list[float] = []  # between two buffers
        self.histogram: NDArray[np.int64] = np.zeros(256, np.int64)  # the scale in 256 steps
        self.last: NDArray[np.uint8] = np.zeros((1, geometry.frame_pixels), np.uint8)
        self._sum = np.zeros(geometry.frame_pixels)
        self.darkest = np.full(geometry.frame_pixels, np.inf)  # mean of a column in a frame
        self.brightest = np.zeros(geometry.frame_pixels)

    @property
    def losses(self) -> Losses:
        """What was lost."""
        return self._numbers.losses

    def profile(self) -> NDArray[np.float64]:
        """Mean grey of each column, float64 [pixels], in the camera's scale."""
        return self._sum / max(1, self.frames)

    def run(
        self, camera: OpenCamera, seconds: float, stop: threading.Event, tick: Callable[[], None]
    ) -> None:
        """Look at a camera that is started, for some seconds; `tick` is called at least 4/s.

        Raises:
            CameraError: nothing came, and it does not answer.
        """
        begun_s = time.monotonic()
        while self.duration_s < seconds and not stop.is_set():
            buffer = camera.next_buffer(POP_S)
            self.duration_s = time.monotonic() - begun_s
            tick()
            if buffer is None:
                continue
            now_s = time.monotonic()
            if self._last_s is not None:
                self.intervals_s.append(now_s - self._last_s)
            self._last_s = now_s
            try:
                if buffer.status is BufferStatus.COMPLETE and len(buffer.pixels):
                    lost_chunk = self._lines_lost_chunk
                    lost = int(buffer.chunks.get(lost_chunk, 0)) if lost_chunk else 0
                    seq = self._numbers.number_of(buffer.frame_id)
                    self._numbers.follow_line(seq, Place(), len(buffer.pixels), lost)
                    self._add(buffer.pixels)
                else:
                    self.losses.incomplete += 1
            finally:
                camera.release(buffer)
        if not self.frames:
            camera.check_alive()

    def remarks(self) -> list[str]:
        """What about the picture asks for a change, in sentences."""
        if not self.frames:
            return [NO_FRAME]
        found = []
        full = 2**self.bits - 1
        clipped = self.histogram[int(256 * BRIGHT_SHARE) :].sum() / self.histogram.sum()
        if clipped > 0.001:
            found.append(f"{clipped:.1%} of the pixels are at the top of the scale: expose less")
        if np.percentile(self.profile(), 90) < DARK_SHARE * full:
            found.append("the picture is dark: good strip is best at 40 to 50 % of the scale")
        if self.losses.frames:
            found.append(f"{self.losses.frames} frames were lost: docs/cameras.md, network")
        if self.losses.lines:
            found.append(
                f"{self.losses.lines} lines were skipped: the strip is faster than the camera's "
                "line rate; expose less, or take fewer lines per metre"
            )
        return found

    def _add(self, pixels: Pixels) -> None:
        mean = pixels.mean(axis=0)
        self.frames += 1
        self.short_frames += len(pixels) < self._frame_lines
        self.lines += len(pixels)
        self.bytes += pixels.nbytes
        self._sum += mean
        np.minimum(self.darkest, mean, out=self.darkest)
        np.maximum(self.brightest, mean, out=self.brightest)
        self.last = (pixels >> (self.bits - 8)).astype(np.uint8)
        self.histogram += np.bincount(self.last.ravel(), minlength=256)


def grey_bits(pixel_format: str) -> int:
    """Bits of the grey scale of a pixel format such as Mono8 or Mono12."""
    found = re.search(r"\d+", pixel_format)
    return max(8, min(16, int(found[0]))) if found else 8
