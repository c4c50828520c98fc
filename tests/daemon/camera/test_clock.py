"""Time of capture: PTP where the camera follows it, else this computer's clock."""

from __future__ import annotations

import numpy as np
import pytest

from stripwatch.camera.base import Buffer, BufferStatus
from stripwatch.camera.clock import TAI_AHEAD_NS, CaptureClock, Read
from stripwatch.errors import DeviceError

NOW_NS = 1_790_000_000_000_000_000
MS = 1_000_000


def frame(device_ns: int | None, host_ns: int = NOW_NS) -> Buffer:
    pixels = np.zeros((1, 1), np.uint8)
    return Buffer(pixels, 0, device_ns, host_ns, BufferStatus.COMPLETE, "", {}, None)


def camera(**features: str) -> Read:
    def read(name: str) -> str:
        if name not in features:
            raise DeviceError(f"no feature {name}")
        return features[name]

    return read


@pytest.mark.parametrize("name", ["PtpStatus", "GevIEEE1588Status"])
@pytest.mark.parametrize("ahead_ns", [0, TAI_AHEAD_NS])
def test_a_slave_of_ptp_gives_the_time(name: str, ahead_ns: int) -> None:
    """Under either name of the feature; a master that counts TAI is 37 s ahead of UTC."""
    clock = CaptureClock(camera(**{name: "Slave"}))
    assert clock.captured_ns(frame(NOW_NS - 2 * MS + ahead_ns)) == NOW_NS - 2 * MS
    assert clock.figures() == {"clock": "ptp", "ptp": "Slave"}


@pytest.mark.parametrize("status", ["Master", "Listening", "Faulty"])
def test_a_clock_that_follows_nobody_does_not_count(status: str) -> None:
    """Though it ticks."""
    clock = CaptureClock(camera(PtpStatus=status))
    assert clock.captured_ns(frame(NOW_NS - 2 * MS)) == NOW_NS
    assert clock.figures() == {"clock": "host", "ptp": status}


def test_a_camera_without_ptp_or_without_times_has_the_hosts() -> None:
    """Most frames are right within the time that they are under way."""
    clock = CaptureClock(camera())
    assert clock.captured_ns(frame(5_000)) == NOW_NS
    assert clock.captured_ns(frame(None)) == NOW_NS
    assert clock.figures() == {"clock": "host"}


def test_a_slave_with_an_impossible_time_does_not_count() -> None:
    """A grandmaster that never heard of the year."""
    clock = CaptureClock(camera(PtpStatus="Slave"))
    assert clock.captured_ns(frame(86_400 * 1000 * MS)) == NOW_NS
    assert clock.source == "host"


def test_a_status_that_changes_is_seen_at_the_next_look() -> None:
    """Cameras take a minute to become slaves, and may lose their master."""
    statuses = iter(["Listening", "Slave", "Listening"])
    clock = CaptureClock(lambda _: next(statuses))
    times_ns = [clock.captured_ns(frame(NOW_NS - MS))]
    for _ in range(2):
        clock.look()
        times_ns.append(clock.captured_ns(frame(NOW_NS - MS)))
    assert times_ns == [NOW_NS, NOW_NS - MS, NOW_NS]


def test_difference_and_drift_are_those_of_the_least_delayed_frames() -> None:
    """A clock that is 40 s behind and loses 25 ppm, with delays of up to 8 ms."""
    seed = 4
    generator = np.random.default_rng(seed)
    print(f"seed {seed}")
    clock = CaptureClock(camera())
    for number in range(20_000):  # 100 frames/s, 200 s
        device_ns = number * 10 * MS
        delay_ns = int(generator.exponential(1.0) * MS) + 150_000
        host_ns = NOW_NS + round(device_ns * (1 + 25e-6)) + delay_ns
        clock.captured_ns(frame(device_ns, host_ns))
    figures = clock.figures()
    assert figures["clock_drift_ppm"] == pytest.approx(25, abs=0.5)
    assert figures["clock_difference_ms"] == pytest.approx((NOW_NS + 0.0047e9) / 1e6, abs=1)


def test_a_clock_that_is_set_back_begins_a_new_window() -> None:
    """A camera that restarts counts from 0."""
    clock = CaptureClock(camera())
    for device_ns in (10**12, 10**12 + 11 * 10**9, 0, 11 * 10**9, 22 * 10**9):
        clock.captured_ns(frame(device_ns))
    assert clock.figures()["clock_difference_ms"] == pytest.approx(
        NOW_NS / 1e6 - 11_000, abs=12_000
    )
