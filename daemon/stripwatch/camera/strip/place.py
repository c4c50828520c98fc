"""Where a frame lies: the coil id, the line since the strip's start, and the strip's end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from stripwatch.camera.base import Buffer
from stripwatch.camera.encoder import LineCounter, Read
from stripwatch.camera.parts import Place
from stripwatch.camera.strip.state import StripState
from stripwatch.config.cameras import LineSource
from stripwatch.errors import StripwatchError


class Placer:
    """Puts the frames of one camera on their strips.

    Where the line is not told by the camera, frames follow each other without a break, so it is
    their number times their height.
    """

    def __init__(
        self, line: LineSource | None, read: Read, strip: Callable[[Buffer], StripState]
    ) -> None:
        """Read lines as `line` says; `strip` tells what is under the camera with a frame."""
        self.counter = LineCounter(line, read) if line else None
        self._strip = strip
        self._state = StripState()  # of the frame before
        self._latest: str | None = None  # strip that was known last
        self._ended: str | None = None  # strip whose last frame was told
        self._next: tuple[int, int] | None = None  # line and id of the frame that follows

    def place(self, buffer: Buffer) -> Place:
        """The place of a whole buffer; called once for each, in order."""
        state = self._strip(buffer)
        strip = state.strip
        self._state = state
        if strip is not None and strip != self._latest:  # one that is known again goes on
            self._latest, self._ended = strip, None
            self._restart()
        line, is_reversed = self._line(buffer)
        if strip is not None and strip == self._ended:
            strip = None  # what still runs through after the end
        is_end = state.end and strip is not None
        if is_end:
            self._ended = strip
        return Place(strip, line, is_reversed, is_end)

    @property
    def fault(self) -> str:
        """Why the strip is unknown; "" where it is known."""
        return self._state.fault

    def _restart(self) -> None:
        self._next = None
        if self.counter:
            self.counter.restart()

    def _line(self, buffer: Buffer) -> tuple[int | None, bool]:
        if self.counter:
            return self.counter.place(buffer)
        lines = buffer.pixels.shape[0]
        line, frame_id = self._next or (0, buffer.frame_id)
        # Frames that were lost in between had the same height; an id that fell begins anew.
        line += max(0, buffer.frame_id - frame_id) * lines
        self._next = (line + lines, buffer.frame_id + 1)
        return line, False


class Barrier:
    """A light barrier on an input of the camera: a strip is what passes while it is true.

    Its name is the camera's and the time at which it began.
    """

    def __init__(self, camera: str, feature: str, read: Read) -> None:
        """Read `feature` with each frame."""
        self._camera = camera
        self._feature = feature
        self._read = read
        self._strip: str | None = None

    def state(self, buffer: Buffer) -> StripState:
        """The strip that a frame shows; the frame in which it ends belongs to it."""
        try:
            is_there = bool(self._read(self._feature))
        except StripwatchError as error:
            self._strip = None
            return StripState(fault=str(error))
        before = self._strip
        if is_there and before is None:
            begun = datetime.fromtimestamp(buffer.host_ns / 1e9, UTC)
            self._strip = f"{self._camera}-{begun:%Y%m%dT%H%M%S}"
        elif not is_there:
            self._strip = None
            return StripState(before, end=before is not None)
        return StripState(self._strip)
