"""The position of a frame on the strip, from the encoder count that the camera gives with it."""

from __future__ import annotations

from collections.abc import Callable

from stripwatch.camera.base import Buffer, Pixels
from stripwatch.config.cameras import EmbeddedCount, FeatureValue, LineSource
from stripwatch.errors import ConfigError

FRAMES_AVERAGED = 200  # of the ratio between encoder and frames
Read = Callable[[str], FeatureValue]


class LineCounter:
    """Turns encoder counts into lines since the strip's start.

    The count begins again at 0 after 2^bits, and may run backwards when the line does. Where the
    line falls and frames are not taken backwards, it stays: the camera waits until the strip is
    where it was.
    """

    def __init__(self, source: LineSource, read: Read) -> None:
        """Read the counts that `source` names; `read` gives the value of a feature."""
        self._source = source
        self._read = read
        self._range = 1 << source.bits
        self._count: int | None = None  # of the frame before
        self._total = 0  # counts since the first frame, unwrapped
        self._start = 0  # total at the strip's start
        self._line = 0  # highest of the strip
        self._begins = True  # the next frame is the strip's first
        self._before: tuple[int, int, int] | None = None  # total, lines and id of the frame before
        self.falls = 0  # frames whose count was below that of the one before
        self.missing = 0  # frames without a count
        self.lines_per_line: float | None = None  # of the encoder to a line of the frames

    def place(self, buffer: Buffer) -> tuple[int | None, bool]:
        """The `line` of a buffer's first row, and whether the strip runs backwards.

        None where the camera gives no count.
        """
        count = self._count_of(buffer)
        if count is None:
            self.missing += 1
            self._before = None
            return None, False
        step = 0 if self._count is None else self._step(count)
        self._count = count
        self._total += step
        self.falls += step < 0
        if self._begins:
            self._begins, self._start, self._line = False, self._total, 0
        self._measure(buffer)
        line = round((self._total - self._start) / self._source.counts_per_line)
        if self._source.may_fall:
            return max(0, line), step < 0
        self._line = max(self._line, line)
        return self._line, False

    def restart(self) -> None:
        """The frame that comes next is the first of a strip: its line is 0."""
        self._begins = True

    def _step(self, count: int) -> int:
        """Counts since the frame before; more than half the range forward is backward."""
        assert self._count is not None
        step = (count - self._count) % self._range
        return step - self._range if step >= self._range // 2 else step

    def _count_of(self, buffer: Buffer) -> int | None:
        source = self._source
        if source.embedded:
            return embedded_count(buffer.pixels, source.embedded)
        if source.chunk:
            value: FeatureValue | None = buffer.chunks.get(source.chunk)
        else:
            assert source.feature
            value = self._read(source.feature)
        if value is None or isinstance(value, str):
            return None
        return int(value) % self._range

    def _measure(self, buffer: Buffer) -> None:
        """Compare the encoder with the lines of two frames that follow each other."""
        lines = buffer.pixels.shape[0]
        before, self._before = self._before, (self._total, lines, buffer.frame_id)
        if before is None or buffer.frame_id != before[2] + 1:
            return
        by_encoder = (self._total - before[0]) / self._source.counts_per_line
        ratio = by_encoder / before[1]
        known = self.lines_per_line
        self.lines_per_line = ratio if known is None else known + (ratio - known) / FRAMES_AVERAGED


def embedded_count(pixels: Pixels, place: EmbeddedCount) -> int:
    """The count that a camera has written over pixels, one byte in each."""
    row = pixels[place.row, place.first_px : place.first_px + place.bytes]
    return int.from_bytes(bytes(int(value) & 0xFF for value in row), place.order)


def hide_count(grey: Pixels, place: EmbeddedCount) -> None:
    """Put the pixels of the line beside it over a count, so that it is not taken for a defect."""
    beside = place.row + 1 if place.row + 1 < grey.shape[0] else place.row - 1
    if beside >= 0:
        columns = slice(place.first_px, place.first_px + place.bytes)
        grey[place.row, columns] = grey[beside, columns]


def check_embedded(camera: str, place: EmbeddedCount, shape: tuple[int, int]) -> None:
    """Check that a count lies within the frame.

    Raises:
        ConfigError: it does not.
    """
    if place.row >= shape[0] or place.first_px + place.bytes > shape[1]:
        raise ConfigError(
            f"cameras.source.line.embedded of {camera!r}: row {place.row}, pixels "
            f"{place.first_px} to {place.first_px + place.bytes - 1} are outside the frame of "
            f"{shape[0]}x{shape[1]}"
        )
