"""The strip's part of a camera's chain: coil id, line and end of each frame."""

from __future__ import annotations

from stripwatch.camera.base import Buffer
from stripwatch.camera.encoder import Read, check_embedded
from stripwatch.camera.parts import Place
from stripwatch.camera.strip.follower import StripFollower
from stripwatch.camera.strip.place import Barrier, Placer
from stripwatch.camera.strip.state import StripState
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Geometry


class StripPart:
    """Places the frames of one camera; belongs to the thread of its frames."""

    def __init__(self, line: Geometry, camera: str, source: CameraSource, read: Read) -> None:
        """Begin to follow the source of the coil id; `read` gives the value of a feature.

        Raises:
            ConfigError: a count lies outside the frame.
        """
        embedded = source.line.embedded if source.line else None
        if embedded:
            check_embedded(camera, embedded, line.frame_shape)
        self._follower: StripFollower | None = None
        if source.strip is None:
            self._placer = Placer(source.line, read, lambda _: StripState())
        elif source.strip.kind == "barrier":
            barrier = Barrier(camera, source.strip.address, read)
            self._placer = Placer(source.line, read, barrier.state)
        else:
            follower = self._follower = StripFollower(camera, source.strip)
            self._placer = Placer(source.line, read, lambda _: follower.latest)

    def place(self, buffer: Buffer) -> Place:
        """See `Placer.place`."""
        return self._placer.place(buffer)

    def figures(self) -> dict[str, object]:
        """For the log: what is odd about encoder and coil id, and their ratio to the frames."""
        figures: dict[str, object] = {}
        counter = self._placer.counter
        if counter and counter.lines_per_line is not None:
            figures["encoder_lines_per_line"] = round(counter.lines_per_line, 4)
        if counter and counter.falls:
            figures["encoder_falls"] = counter.falls
        if counter and counter.missing:
            figures["encoder_missing"] = counter.missing
        if self._placer.fault:
            figures["strip"] = "unknown"
        return figures

    def close(self) -> None:
        """Follow no longer."""
        if self._follower:
            self._follower.close()
