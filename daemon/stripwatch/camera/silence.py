"""When no frame comes: has the camera stopped, or the strip?

Pure: no clock and no camera.
"""

from __future__ import annotations

from enum import StrEnum

SILENCE_S_MIN = 2.0
SILENCE_FRAMES = 5
INTERVAL_S_MAX = 30.0  # of frames, as the limit follows it: a slow strip has slow frames
SMOOTHING = 0.1


class Verdict(StrEnum):
    """What silence means."""

    WAIT = "wait"  # not long enough to ask
    IDLE = "idle"  # the camera answers, and its encoder stands
    STOPPED = "stopped"  # the camera delivers nothing though it should


class Silence:
    """Follows the intervals between frames, and judges their absence."""

    def __init__(self, *, by_encoder: bool, frame_timeout_s: float, now_s: float) -> None:
        """Begin.

        Args:
            by_encoder: lines are taken by the encoder: none while the strip stands.
            frame_timeout_s: after which a frame that has begun leaves the camera.
            now_s: on a monotonic clock, as everywhere here.
        """
        self._by_encoder = by_encoder
        self._timeout_s = frame_timeout_s if by_encoder else 0.0
        self._last_s = self._asked_s = self._whole_s = now_s
        self._interval_s = 0.0
        self._count: int | None = None  # of the encoder when asked last

    @property
    def limit_s(self) -> float:
        """Longest time without a frame that needs no question."""
        return max(SILENCE_S_MIN, SILENCE_FRAMES * self._interval_s, 2 * self._timeout_s)

    def frame_came(self, now_s: float, *, is_whole: bool) -> None:
        """A buffer came."""
        if not self.is_asking:
            interval_s = min(now_s - self._last_s, INTERVAL_S_MAX)
            self._interval_s += SMOOTHING * (interval_s - self._interval_s)
        self._last_s = self._asked_s = now_s
        self._count = None
        if is_whole:
            self._whole_s = now_s

    def is_none_whole(self, now_s: float) -> bool:
        """Whether frames come, and for too long none that is whole."""
        return self._last_s == now_s and now_s - self._whole_s > self.limit_s

    @property
    def is_asking(self) -> bool:
        """Whether the silence has been asked about, and the strip taken to stand."""
        return self._asked_s > self._last_s

    def silent_s(self, now_s: float) -> float:
        """Time since the last buffer."""
        return now_s - self._last_s

    def whole_s(self, now_s: float) -> float:
        """Time since the last buffer that was whole."""
        return now_s - self._whole_s

    def is_due(self, now_s: float) -> bool:
        """Whether to ask the camera now."""
        return now_s - self._asked_s > self.limit_s

    def judge(self, now_s: float, encoder_count: int | None, frame_counts: float) -> Verdict:
        """What the silence means; the camera has just answered.

        A strip that stands gives no line triggers, and so no frame; a frame that had begun has
        left by the frame timeout. Where the count of the encoder can be read and has moved by more
        than a frame since the camera was asked before, the camera should have sent one.

        Args:
            now_s: the time.
            encoder_count: of the encoder, now; None: it cannot be read.
            frame_counts: counts that pass in one frame.
        """
        if not self.is_due(now_s):
            return Verdict.WAIT
        self._asked_s = now_s
        if not self._by_encoder:
            return Verdict.STOPPED
        before, self._count = self._count, encoder_count
        if before is None or encoder_count is None:
            return Verdict.IDLE
        return Verdict.STOPPED if abs(encoder_count - before) > frame_counts else Verdict.IDLE
