"""From the ids of a camera's frames to the numbers of frame messages: what is lost skips numbers.

Pure: no clock and no camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stripwatch.camera.parts import Place
from stripwatch.feed.numbering import new_session

LINE_SLACK = 1  # lines by which the count of an encoder may differ, by rounding


@dataclass(slots=True)
class Losses:
    """What did not reach the daemon since the start, by what was seen of it."""

    frames: int = 0  # whose ids are missing between two frames that are whole
    incomplete: int = 0  # frames that came with pixels missing; they are among `frames`
    not_taken: int = 0  # frames that the daemon had no room for
    lines: int = 0  # that the camera counted as skipped within frames
    jumps: int = 0  # of the encoder between frames, without a missing id
    restarts: int = 0  # of the camera's count


class SessionNumbers:
    """The session and the number of each frame of one camera."""

    def __init__(
        self, id_period: int | None, make_session: Callable[[], str] = new_session
    ) -> None:
        """Number from 0.

        Args:
            id_period: 65535 where ids run 1..65535 and begin again at 1; None: they never wrap.
            make_session: makes the name of a new session.
        """
        self._id_period = id_period
        self._make_session = make_session
        self._last_id: int | None = None
        self._place: Place | None = None
        self._next_line: int | None = None  # after the last frame; None: unknown
        self.session = make_session()
        self._next_seq = 0
        self.losses = Losses()

    def number_of(self, frame_id: int) -> int:
        """The number of a frame that is whole; what was lost before it leaves numbers out.

        The id of a frame that is not whole means nothing: where its first packet is missing, a
        library shows the id that the buffer had before.
        """
        skipped = self._skipped_before(frame_id)
        if skipped < 0:
            self.session, self._next_seq, skipped = self._make_session(), 0, 0
            self.losses.restarts += 1
            self._next_line = None
        if skipped:
            self.losses.frames += skipped
            self._next_line = None
        self._last_id = frame_id
        seq = self._next_seq + skipped
        self._next_seq = seq + 1
        return seq

    def follow_line(self, seq: int, place: Place, lines: int, lines_lost: int) -> int:
        """The number of a complete frame, given its place on the strip.

        Where the encoder has passed over lines between two frames although no frame is missing,
        one number is left out, so that the daemon's gap names these lines.
        """
        before, expected = self._place, self._next_line
        passed = lines + lines_lost
        self._place, self._next_line = place, None
        self.losses.lines += lines_lost
        if place.line is None:
            return seq
        self._next_line = place.line - passed if place.line_reversed else place.line + passed
        if (
            before is None
            or expected is None
            or (before.strip, before.line_reversed) != (place.strip, place.line_reversed)
        ):
            return seq
        beyond = expected - place.line if place.line_reversed else place.line - expected
        if beyond <= LINE_SLACK:
            return seq
        self.losses.jumps += 1
        self._next_seq = seq + 2
        return seq + 1

    def _skipped_before(self, frame_id: int) -> int:
        """Frames between the last id and this one; negative: the camera counts anew."""
        if self._last_id is None:
            return 0
        if self._id_period is not None and frame_id > self._id_period:
            self._id_period = None  # ids of 64 bits, which GigE Vision 2 allows
        if self._id_period is None:
            return frame_id - self._last_id - 1
        step = (frame_id - self._last_id) % self._id_period
        if step == 0 or step > self._id_period // 2:
            return -1
        return step - 1
