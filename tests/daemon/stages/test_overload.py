"""When frames are dropped at the door, as a table of times."""

from __future__ import annotations

import pytest

from stripwatch.stages.overload import OVERLOAD_AFTER_MS, OVERLOAD_HOLD_MS, Overload

A, B = "ipc://a", "ipc://b"


def ns(ms: float) -> int:
    return int(ms * 1_000_000)


@pytest.mark.parametrize(
    ("waited_ms", "drops"),
    [(0, False), (OVERLOAD_AFTER_MS, False), (OVERLOAD_AFTER_MS + 1, True), (5000, True)],
)
def test_a_frame_is_dropped_only_after_messages_have_waited(waited_ms: int, drops: bool) -> None:
    overload = Overload()
    assert not overload.must_drop(A, ns(100))
    assert overload.must_drop(A, ns(100 + waited_ms)) is drops


def test_a_burst_that_empties_the_queue_in_time_starts_anew() -> None:
    overload = Overload()
    overload.must_drop(A, ns(0))
    overload.queue_is_empty(A)
    assert not overload.must_drop(A, ns(OVERLOAD_AFTER_MS + 1))


def test_an_empty_queue_of_one_input_says_nothing_of_another() -> None:
    overload = Overload()
    overload.must_drop(A, ns(0))
    overload.must_drop(B, ns(0))
    overload.queue_is_empty(B)
    assert overload.must_drop(A, ns(OVERLOAD_AFTER_MS + 1))
    assert not overload.must_drop(B, ns(OVERLOAD_AFTER_MS + 1))


@pytest.mark.parametrize(
    ("after_ms", "drops"), [(1, True), (OVERLOAD_HOLD_MS - 1, True), (OVERLOAD_HOLD_MS, False)]
)
def test_overload_holds_on_every_input_until_nothing_was_dropped_for_a_while(
    after_ms: int, drops: bool
) -> None:
    overload = Overload()
    overload.frame_dropped(ns(500))
    assert overload.must_drop(B, ns(500 + after_ms)) is drops


def test_every_dropped_frame_prolongs_the_overload() -> None:
    overload = Overload()
    overload.frame_dropped(ns(0))
    overload.frame_dropped(ns(900))
    assert overload.must_drop(A, ns(OVERLOAD_HOLD_MS + 500))


def test_a_loss_is_explained_by_frames_that_waited_or_were_dropped() -> None:
    """Then the queue of the input was full, and not the network at fault."""
    overload = Overload()
    assert not overload.explains_loss(A, ns(0))
    overload.must_drop(A, ns(0))
    assert overload.explains_loss(A, ns(1))
    assert not overload.explains_loss(B, ns(1))
    overload.queue_is_empty(A)
    assert not overload.explains_loss(A, ns(2))
    overload.frame_dropped(ns(3))
    assert overload.explains_loss(B, ns(4))
    assert not overload.explains_loss(B, ns(4 + OVERLOAD_HOLD_MS))
