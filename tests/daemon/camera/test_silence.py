"""No frame: when to ask the camera, and what its answer means."""

from __future__ import annotations

from stripwatch.camera.silence import Silence, Verdict


def silence(*, by_encoder: bool = True, timeout_s: float = 0.5) -> Silence:
    return Silence(by_encoder=by_encoder, frame_timeout_s=timeout_s, now_s=0.0)


def test_two_seconds_need_no_question_and_five_frames_of_a_slow_camera_neither() -> None:
    tested = silence(by_encoder=False)
    assert not tested.is_due(2.0)
    assert tested.is_due(2.1)
    for number in range(1, 60):
        tested.frame_came(number * 1.0, is_whole=True)
    assert 4.9 < tested.limit_s <= 5.0
    assert not tested.is_due(63.0)


def test_a_camera_at_its_own_rate_that_is_silent_has_stopped() -> None:
    assert silence(by_encoder=False).judge(3.0, None, 64) is Verdict.STOPPED


def test_a_camera_that_waits_for_the_encoder_is_idle_for_as_long_as_the_strip_stands() -> None:
    tested = silence()
    assert tested.judge(1.0, None, 64) is Verdict.WAIT
    for now_s in (3.0, 6.0, 600.0):
        assert tested.judge(now_s, None, 64) is Verdict.IDLE
    assert tested.is_asking
    tested.frame_came(601.0, is_whole=True)
    assert not tested.is_asking
    assert tested.limit_s == 2.0, "standing is no interval between frames"


def test_an_encoder_that_turns_by_more_than_a_frame_shows_that_the_camera_has_stopped() -> None:
    tested = silence()
    assert tested.judge(3.0, 1000, 64) is Verdict.IDLE
    assert tested.judge(6.0, 1064, 64) is Verdict.IDLE  # a frame less one trigger
    assert tested.judge(9.0, 1300, 64) is Verdict.STOPPED


def test_the_limit_leaves_time_for_a_long_frame_timeout() -> None:
    assert silence(timeout_s=10.0).limit_s == 20.0
    assert silence(by_encoder=False, timeout_s=10.0).limit_s == 2.0


def test_frames_that_come_and_are_never_whole_are_no_silence_and_no_rest() -> None:
    tested = silence()
    for tenths in range(1, 25):
        tested.frame_came(tenths / 10, is_whole=tenths < 2)
        assert tested.is_none_whole(tenths / 10) == (tenths > 21)
