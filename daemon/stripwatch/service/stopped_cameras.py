"""Cameras that have stopped while others go on: not a strip that stands still."""

from __future__ import annotations

from collections.abc import Mapping

STOPPED_S_MIN = 30.0  # cameras far apart begin and end a strip at different times
PAUSE_S_MAX = 3.0  # between two frames of a camera that goes on


class StoppedCameras:
    """Follows when frames of each camera came.

    A camera has stopped when nothing has come from it for `STOPPED_S_MIN` while another has sent
    all that time. Where no camera sends, the strip stands still. With one camera alone there is
    nothing to tell the two apart.
    """

    def __init__(self) -> None:
        self._counts: dict[str, object] = {}
        self._begun_s: dict[str, float] = {}  # since when each camera has sent without a pause
        self._last_s: dict[str, float] = {}

    def update(self, counts: Mapping[str, object], now_s: float) -> tuple[str, ...]:
        """The cameras that have stopped.

        Args:
            counts: by camera of which a frame has come since the start, anything that changes
                with each of its frames.
            now_s: monotonic; at most `PAUSE_S_MAX` after the last call, or nothing is concluded.
        """
        for camera, count in counts.items():
            if self._counts.get(camera) == count:
                continue
            if now_s - self._last_s.get(camera, -PAUSE_S_MAX) >= PAUSE_S_MAX:
                self._begun_s[camera] = now_s
            self._last_s[camera] = now_s
        self._counts = dict(counts)
        goes_on = any(
            now_s - last_s < PAUSE_S_MAX and now_s - self._begun_s[camera] >= STOPPED_S_MIN
            for camera, last_s in self._last_s.items()
        )
        if not goes_on:
            return ()
        return tuple(
            camera
            for camera, last_s in sorted(self._last_s.items())
            if camera in counts and now_s - last_s >= STOPPED_S_MIN
        )
