"""What the statuses say about now: blindness with its beginning and metres, speed, charts."""

from __future__ import annotations

import msgspec

from stripwatch.page.watch import HOUR_STEP_S, SECONDS, Blind, Watch
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import CameraStatus, Reason, State, Status
from stripwatch.wire.light import OpenLightFault

S = 1_000_000_000
FRAME_M = 0.5


def camera(last: int, session: str = "s", **missed: int) -> CameraStatus:
    counts = {Cause(name): count for name, count in missed.items()}
    return CameraStatus(
        session=session,
        first_frame_seq=0,
        last_frame_seq=last,
        inspected=last + 1 - sum(counts.values()),
        missed=counts,
        sessions=1,
    )


def status(t_s: int, state: State = State.OK, **changes: object) -> Status:
    keys: dict[str, object] = {
        "stream": "s",
        "t_ns": t_s * S,
        "state": state,
        "uptime_s": 100.0 + t_s,
        "model": "m",
        "frames_per_s": 10.0,
        "frames_inspected": 1,
        "latency_ms": {"total": {"p50": 5.0, "p99": 9.0 + t_s, "max": 20.0}},
        "drops": {},
        "cameras": {},
        "subscribers": 1,
        "last_event_seq": 1,
        **changes,
    }
    return Status(**keys)  # type: ignore[arg-type]


def run(watch: Watch, seconds: int, begin_s: int = 0, **frames_per_s: int) -> None:
    """Statuses of cameras that send so many frames a second."""
    for t_s in range(begin_s, begin_s + seconds):
        cameras = {name: camera(rate * t_s) for name, rate in frames_per_s.items()}
        watch.add(status(t_s, cameras=cameras), t_s * S, defects=2)


def test_a_line_that_runs_is_not_blind_and_has_a_speed() -> None:
    watch = Watch(FRAME_M, 0)
    run(watch, 10, top=10, bottom=10)
    assert watch.blind(9 * S) == []
    assert watch.speed_m_per_min == 10 * FRAME_M * 60
    assert watch.status_age_s(11 * S) == 2


def test_a_daemon_that_says_nothing_is_blind() -> None:
    """Since its last status; or since the page began to wait for the first."""
    watch = Watch(FRAME_M, 7 * S)
    assert watch.blind(8 * S) == []
    (blind,) = watch.blind(11 * S)
    assert (blind.what, blind.since_ns, blind.metres) == ("daemon", 7 * S, None)
    run(watch, 3, begin_s=20, top=10)
    (blind,) = watch.blind(26 * S)
    assert (blind.what, blind.since_ns) == ("daemon", 22 * S)


def test_a_failed_daemon_tells_its_reasons() -> None:
    """The words are those of the status."""
    watch = Watch(FRAME_M, 0)
    run(watch, 3, top=10)
    for t_s in (3, 4):
        failed = status(
            t_s,
            State.FAILED,
            reasons=(Reason(why="journal_failed", text="the disk is full"),),
            cameras={"top": camera(40)},
        )
        watch.add(failed, t_s * S, 0)
    blind = watch.blind(4 * S)[0]
    assert (blind.what, blind.message) == ("failed", "FAILED: the disk is full")
    assert blind.since_ns == 3 * S


def test_missed_frames_are_counted_from_their_first_to_a_while_after_their_last() -> None:
    """In metres of the camera that has missed most."""
    watch = Watch(FRAME_M, 0)
    for t_s in range(20):
        lost = min(max(0, t_s - 2), 4) * 3  # three each second from the third to the sixth
        cameras = {"top": camera(10 * t_s, overload=lost), "bottom": camera(10 * t_s)}
        watch.add(status(t_s, cameras=cameras), t_s * S, 0)
        blind = watch.blind(t_s * S)
        if 3 <= t_s <= 11:
            assert [(one.what, one.camera) for one in blind] == [("missed", "top")]
            assert blind[0].since_ns == 3 * S
            assert blind[0].metres == lost * FRAME_M
            assert f"{lost} overload" in blind[0].message
        else:
            assert blind == []


def test_what_was_missed_before_the_page_began_is_not_news() -> None:
    """Nor is another session of a camera."""
    watch = Watch(FRAME_M, 0)
    watch.add(status(0, cameras={"top": camera(100, lost=50)}), 0, 0)
    watch.add(status(1, cameras={"top": camera(110, lost=50)}), S, 0)
    watch.add(status(2, cameras={"top": camera(9, "t", lost=3)}), 2 * S, 0)
    assert watch.blind(2 * S) == []


def test_a_camera_that_goes_dark_while_others_send_is_named_with_what_has_passed() -> None:
    watch = Watch(FRAME_M, 0)
    run(watch, 5, top=10, bottom=10)
    for t_s in range(5, 12):
        cameras = {"top": camera(40), "bottom": camera(10 * t_s)}
        watch.add(status(t_s, cameras=cameras), t_s * S, 0)
    assert watch.blind(11 * S) == [
        Blind(
            what="camera",
            camera="top",
            message="camera top sends no frames",
            since_ns=4 * S,
            metres=35.0,
        )
    ]


def test_a_line_without_frames_says_since_when() -> None:
    watch = Watch(FRAME_M, 0)
    run(watch, 3, top=10)
    for t_s in range(3, 10):
        watch.add(status(t_s, cameras={"top": camera(20)}), t_s * S, 0)
    (blind,) = watch.blind(9 * S)
    assert (blind.what, blind.since_ns) == ("no_frames", 2 * S)
    assert watch.speed_m_per_min == 0


def test_a_camera_that_has_never_sent_is_told_after_a_while() -> None:
    """Not at once after a start."""
    watch = Watch(FRAME_M, 0)
    watch.add(status(0, silent_cameras=("top",), uptime_s=1.0), 0, 0)
    assert watch.blind(0) == []
    watch.add(status(20, silent_cameras=("top",), uptime_s=21.0), 20 * S, 0)
    (blind,) = watch.blind(20 * S)
    assert (blind.what, blind.camera, blind.since_ns) == ("camera", "top", -1 * S)


def test_charts_have_columns_of_equal_length() -> None:
    """A minute by seconds; an hour by means, sums and the worst latency of ten seconds."""
    watch = Watch(FRAME_M, 0)
    run(watch, 95, top=10)
    minute = watch.chart("minute")
    assert {len(column) for column in minute.values() if isinstance(column, list)} == {SECONDS}
    assert minute["t_s"][-1] == 94
    hour = watch.chart("hour")
    assert hour["step_s"] == HOUR_STEP_S
    assert hour["t_s"] == [9, 19, 29, 39, 49, 59, 69, 79, 89]
    assert hour["defects"] == [20] * 9
    assert hour["latency_p99_ms"][0] == 9.0 + 9
    assert set(hour["frames_per_s"]) == {10.0}


def test_a_camera_under_a_weak_lamp_is_blind_for_as_long_as_it_is_dark() -> None:
    """With the metres since; a line of dirt is a fault of the light, but hides nothing."""
    watch = Watch(FRAME_M, 0)
    line = OpenLightFault(kind="line", crossweb_mm=(5.0, 6.0), share=0.7)
    dim = OpenLightFault(kind="dim", crossweb_mm=(0.0, 1000.0), share=0.4)
    for t_s in range(10):
        faults = () if t_s < 2 else (line,) if t_s < 4 else (line, dim)
        lit = msgspec.structs.replace(camera(10 * t_s), light_faults=faults)
        watch.add(status(t_s, cameras={"top": lit}), t_s * S, defects=0)
        assert (watch.blind(t_s * S) == []) is (t_s < 4)
    (blind,) = watch.blind(9 * S)
    assert (blind.what, blind.camera, blind.since_ns) == ("dark", "top", 4 * S)
    assert blind.message == "camera top is dark at 0 to 1000 mm"
    assert blind.metres == 5 * 10 * FRAME_M
    watch.add(status(10, cameras={"top": camera(100)}), 10 * S, defects=0)
    assert watch.blind(10 * S) == []
