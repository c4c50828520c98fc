"""Sessions and frame numbers of a camera: no single message silences it."""

from __future__ import annotations

from collections import Counter

import pytest

from stripwatch.inspect.sequence import AGAIN_FRAMES, JUMP_MAX, STEADY_FRAMES, SequenceTracker
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.names import COUNT_MAX


class Sender:
    """Frames of one session, in order; `time` is shared by all."""

    time_ns = 0

    def __init__(self, tracker: SequenceTracker, session: str, seq: int = 0) -> None:
        self.tracker, self.session, self.seq = tracker, session, seq
        self.fates: Counter[Cause | None] = Counter()
        self.lost = 0
        self.losses: list[tuple[Cause, int]] = []
        self.names: list[str] = []

    def send(self, count: int = 1, seq: int | None = None) -> None:
        for _ in range(count):
            number = self.seq if seq is None else seq
            Sender.time_ns += 1_000_000
            header = FrameHeader(
                v=1,
                camera="top",
                session=self.session,
                seq=number,
                t_ns=Sender.time_ns,
                shape=(8, 32),
                dtype="u8",
                codec="raw",
            )
            arrival = self.tracker.arrive(header)
            self.fates[arrival.cause] += 1
            self.lost += arrival.lost.count if arrival.lost else 0
            self.losses += [(arrival.lost.cause, arrival.lost.count)] if arrival.lost else []
            self.names.append(arrival.frame.session)
            self.seq = self.seq + 1 if seq is None else self.seq


@pytest.fixture
def tracker() -> SequenceTracker:
    return SequenceTracker()


def test_a_stray_message_of_another_session_takes_nothing_away(tracker: SequenceTracker) -> None:
    camera, rogue = Sender(tracker, "camera"), Sender(tracker, "rogue")
    camera.send(50)
    rogue.send()
    camera.send(500)
    assert (camera.fates, camera.lost) == ({None: 550}, 0)
    assert rogue.fates == {None: 1}
    assert tracker.rivals is None


@pytest.mark.parametrize("jump", [JUMP_MAX + 1, COUNT_MAX - 9])
def test_a_number_far_above_the_last_needs_a_second_frame(
    tracker: SequenceTracker, jump: int
) -> None:
    """A single one is counted as stray; what follows continues where the camera was."""
    camera = Sender(tracker, "camera")
    camera.send(10)
    camera.send(seq=9 + jump)
    camera.send(500)
    assert (camera.fates, camera.lost) == ({None: 510, Cause.STRAY: 1}, 0)


def test_a_camera_that_was_away_for_long_is_taken_up_again(tracker: SequenceTracker) -> None:
    """The second frame behind a long gap confirms it, and the gap is counted as lost."""
    camera = Sender(tracker, "camera")
    camera.send(10)
    camera.seq = 5 * JUMP_MAX
    camera.send(10)
    assert camera.fates == {None: 19, Cause.STRAY: 1}
    assert camera.lost == 5 * JUMP_MAX - 10 + 1  # with the frame that was not believed


def test_a_new_session_takes_over_with_its_first_frame(tracker: SequenceTracker) -> None:
    """And frames of the old one that still queued somewhere are inspected, too."""
    old, new = Sender(tracker, "old"), Sender(tracker, "new", seq=3)
    old.send(100)
    old.send(0)
    before_ns = Sender.time_ns
    new.send()
    assert (new.fates, new.lost) == ({None: 1}, 3)
    for _ in range(32):
        after_ns, Sender.time_ns = Sender.time_ns, before_ns - 40_000_000
        old.send()
        Sender.time_ns = after_ns
        new.send()
    assert (old.fates, new.fates) == ({None: 132}, {None: 33})
    assert tracker.rivals is None


@pytest.mark.parametrize("clocks_agree", [True, False])
def test_two_senders_under_one_name_are_noticed(
    tracker: SequenceTracker, clocks_agree: bool
) -> None:
    """One goes on undisturbed, every frame of the other is inspected or missed by name."""
    first, second = Sender(tracker, "first"), Sender(tracker, "second")
    first.send(5)
    for _ in range(300):
        second.send()
        if clocks_agree:
            first.send()
        else:
            Sender.time_ns -= 3_600_000_000_000
            first.send()
            Sender.time_ns += 3_600_000_000_000
    assert tracker.rivals == ("first", "second")
    assert (first.fates, first.lost, second.lost) == ({None: 305}, 0, 0)
    assert second.fates[Cause.SECOND_SENDER] > 200
    assert second.fates.total() == 300


def test_the_second_sender_takes_over_when_the_first_has_ended(tracker: SequenceTracker) -> None:
    first, second = Sender(tracker, "first"), Sender(tracker, "second")
    for _ in range(200):
        first.send()
        second.send()
    second.fates.clear()
    second.send(STEADY_FRAMES + 100)
    assert second.fates[Cause.SECOND_SENDER] < STEADY_FRAMES
    assert second.fates[None] > 100
    assert tracker.rivals is None


def test_of_two_senders_one_is_inspected_when_the_first_restarts(tracker: SequenceTracker) -> None:
    """Neither of the two that are left may wait for one that has ended."""
    first, second = Sender(tracker, "first"), Sender(tracker, "second")
    for _ in range(200):
        first.send()
        second.send()
    again = Sender(tracker, "again")
    second.fates.clear()
    for _ in range(300):
        again.send()
        second.send()
    assert max(again.fates[None], second.fates[None]) > 200


def test_a_session_that_counts_from_the_beginning_again_gets_a_name_of_its_own(
    tracker: SequenceTracker,
) -> None:
    """A sender with a fixed session must not be silent for ever after its restart."""
    camera = Sender(tracker, "fixed")
    camera.send(100)
    restarted = Sender(tracker, "fixed")
    restarted.send(50)
    assert restarted.fates == {Cause.LATE: AGAIN_FRAMES - 1, None: 50 - AGAIN_FRAMES + 1}
    assert restarted.lost == AGAIN_FRAMES - 1
    assert set(restarted.names[AGAIN_FRAMES:]) == {"fixed-2"}


def test_frames_that_a_cut_connection_held_back_stay_late(tracker: SequenceTracker) -> None:
    """They come in order as well; their time of capture tells them from a sender that restarts."""
    camera = Sender(tracker, "camera")
    camera.send(10)
    held_back_ns = Sender.time_ns
    camera.seq = 40
    Sender.time_ns += 1_000_000_000
    camera.send(10)
    now_ns, Sender.time_ns = Sender.time_ns, held_back_ns
    camera.seq = 10
    camera.send(30)
    Sender.time_ns, camera.seq = now_ns, 50
    camera.send(1)
    assert camera.fates == {None: 21, Cause.LATE: 30}
    assert set(camera.names) == {"camera"}
    assert camera.lost == 30


def test_repeated_and_reordered_frames_stay_late(tracker: SequenceTracker) -> None:
    camera = Sender(tracker, "camera")
    camera.send(10)
    camera.send(20, seq=9)
    camera.send(20, seq=4)
    assert camera.fates == {None: 10, Cause.LATE: 40}


def test_a_session_that_counts_again_keeps_its_name_after_a_restart_of_the_daemon() -> None:
    """Frames that are still sent under the old name go on where the renamed session ended."""
    tracker = SequenceTracker()
    tracker.resume("fixed", 99, None, None)
    tracker.resume("fixed-2", 49, None, None)
    camera = Sender(tracker, "fixed", seq=60)
    camera.send(10)
    assert (camera.fates, camera.lost) == ({None: 10}, 10)
    assert set(camera.names) == {"fixed-2"}
    restarted = Sender(tracker, "fixed")
    restarted.send(50)
    assert restarted.names[-1] == "fixed-3"


def test_a_session_whose_name_ends_with_a_number_goes_on_after_a_restart_of_the_daemon() -> None:
    """Whether or not there was one with the rest of its name."""
    for others in ((), ("run",)):
        tracker = SequenceTracker()
        for name in (*others, "run-2"):
            tracker.resume(name, 49, None, None)
        camera = Sender(tracker, "run-2", seq=60)
        camera.send(10)
        assert (camera.fates, camera.lost) == ({None: 10}, 10)
        assert set(camera.names) == {"run-2"}


def test_two_sessions_never_share_a_name(tracker: SequenceTracker) -> None:
    """Also where a sender uses the name that was given to one that counted again."""
    for session in ("fixed", "fixed"):
        Sender(tracker, session).send(50)
    other = Sender(tracker, "fixed-2")
    other.send(10)
    assert set(other.names) == {"fixed-2-2"}
    assert other.fates == {None: 10}


def test_a_camera_that_comes_back_into_the_configuration_continues_its_session(
    tracker: SequenceTracker,
) -> None:
    """What it sent meanwhile is lost for a cause of its own, once."""
    camera = Sender(tracker, "camera")
    camera.send(5)
    tracker.leave()
    camera.seq += 7
    camera.send()
    camera.seq += 2
    camera.send()
    assert camera.losses == [(Cause.UNKNOWN_CAMERA, 7), (Cause.LOST, 2)]
    assert camera.fates == {None: 7}
