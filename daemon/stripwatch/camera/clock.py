"""The time of capture: the camera's clock where PTP keeps it, else this computer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from stripwatch.camera.base import Buffer
from stripwatch.config.cameras import FeatureValue
from stripwatch.errors import StripwatchError
from stripwatch.wire.clock import CameraClock

# Names of SFNC 2.4 and of its forerunners for the state of a camera's PTP clock.
STATUS_FEATURES = ("PtpStatus", "GevIEEE1588Status")
TAI_AHEAD_NS = 37_000_000_000  # of UTC, since 2017; PTP counts TAI, where its master knows it
PTP_APART_NS_MAX = 1_000_000_000  # a clock that is further away is no time of day
WINDOW_NS = 10_000_000_000  # in which the smallest difference is taken: the least delayed frame

Read = Callable[[str], FeatureValue]


class CaptureClock:
    """Gives every frame its time of capture, and compares the two clocks.

    Which clock counts is decided by `look`, once a second, because asking a camera takes time.
    """

    def __init__(self, read: Read) -> None:
        """Ask the camera for its state; `read` gives the value of a feature."""
        self._read = read
        self._feature: str | None = None
        self.status = ""  # of PTP, in the camera's word; "" where it has none
        self.source: Literal["ptp", "host"] = "host"
        self._window_start_ns = 0
        self._window_least_ns: int | None = None  # host less device
        self._first: tuple[int, int] | None = None  # of the first whole window: device, difference
        self._last: tuple[int, int] | None = None
        self.look()

    def look(self) -> None:
        """Read the state of the camera's clock."""
        names = (self._feature,) if self._feature else STATUS_FEATURES
        self.status = ""
        for name in names:
            try:
                self.status = str(self._read(name))
            except StripwatchError:  # not every camera has PTP; then its clock does not count
                continue
            self._feature = name
            break

    def captured_ns(self, buffer: Buffer) -> int:
        """Unix time at which a frame was taken, in nanoseconds."""
        device_ns = buffer.device_ns
        self.source = "host"
        if device_ns is None:
            return buffer.host_ns
        self._compare(device_ns, buffer.host_ns)
        if self.status != "Slave":
            return buffer.host_ns
        for ahead_ns in (0, TAI_AHEAD_NS):
            if abs(device_ns - ahead_ns - buffer.host_ns) < PTP_APART_NS_MAX:
                self.source = "ptp"
                return device_ns - ahead_ns
        return buffer.host_ns

    def told(self) -> CameraClock:
        """Which clock counts, and how the two differ, for the header of a frame."""
        if self._last is None or self._first is None:
            return CameraClock(source=self.source)
        device_ns, difference_ns = self._last
        span_ns = device_ns - self._first[0]
        drift = (difference_ns - self._first[1]) / span_ns if span_ns > 0 else None
        return CameraClock(
            source=self.source,
            difference_ms=round(difference_ns / 1e6, 3),
            drift_ppm=None if drift is None else round(drift * 1e6, 2),
        )

    def figures(self) -> dict[str, object]:
        """The same with the state of PTP, for systemd's status line."""
        told = self.told()
        figures: dict[str, object] = {"clock": told.source}
        if self.status:
            figures["ptp"] = self.status
        if told.difference_ms is not None:
            figures["clock_difference_ms"] = told.difference_ms
        if told.drift_ppm is not None:
            figures["clock_drift_ppm"] = told.drift_ppm
        return figures

    def _compare(self, device_ns: int, host_ns: int) -> None:
        """Follow the difference by the frame of each window that was delayed least."""
        difference_ns = host_ns - device_ns
        least_ns = self._window_least_ns
        if least_ns is None or device_ns < self._window_start_ns:  # or the clock was set back
            self._window_start_ns, self._window_least_ns = device_ns, difference_ns
        elif device_ns - self._window_start_ns < WINDOW_NS:
            self._window_least_ns = min(least_ns, difference_ns)
        else:
            self._last = (self._window_start_ns, least_ns)
            self._first = self._first or self._last
            self._window_start_ns, self._window_least_ns = device_ns, difference_ns
