"""The slots and their transition table."""

from __future__ import annotations

import itertools

import pytest

from stripwatch.engines.base import IN_FLIGHT
from stripwatch.inspect.coverage import Miss
from stripwatch.stages.slots import SlotRing, State, slot_count
from stripwatch.wire.causes import Cause

MISS = Miss("top", "s", 0, 0, Cause.LOST)


def test_a_slot_goes_round_and_comes_back_empty() -> None:
    """free, filling, closed, ready, running, done, free: with nothing left of its last turn."""
    ring = SlotRing(2, (4, 8))
    slot = ring.open()
    assert slot is not None
    slot.rows, slot.opened_ns = 2, 5
    slot.entries.append(MISS)
    ring.close(slot)
    assert ring.engine_is_behind()
    assert ring.take_ready(0) is slot
    assert not ring.engine_is_behind()
    ring.finish(slot)
    assert ring.take_done(0.1) is slot
    ring.release(slot)
    assert (slot.rows, slot.opened_ns, slot.entries, slot.result) == (0, 0, [], None)
    ring.assert_all_free()


def test_every_other_transition_is_an_assertion() -> None:
    """Only the pairs of the table are allowed."""
    allowed = {
        ("free", "filling"),
        ("filling", "closed"),
        ("closed", "ready"),
        ("filling", "free"),
        ("ready", "running"),
        ("running", "done"),
        ("done", "free"),
    }
    for before, after in itertools.product(State, State):
        slot = SlotRing(1, (1, 1)).slots[0]
        slot.state = before
        if (before.value, after.value) in allowed:
            slot.move(after)
            assert slot.state is after
        else:
            with pytest.raises(AssertionError, match="slot 0"):
                slot.move(after)


def test_a_slot_with_entries_cannot_be_put_back() -> None:
    """What it carries would be lost."""
    ring = SlotRing(1, (1, 1))
    slot = ring.open()
    assert slot is not None
    slot.entries.append(MISS)
    with pytest.raises(AssertionError):
        ring.put_back(slot)


def test_there_are_enough_slots_for_every_holder() -> None:
    """While one fills, two run and one is delivered, there is still one to open."""
    ring = SlotRing(1, (1, 1))
    assert len(ring.slots) == slot_count() >= IN_FLIGHT + 3
    opened = [ring.open() for _ in ring.slots]
    assert all(opened)
    assert ring.open() is None
    with pytest.raises(AssertionError):
        ring.assert_all_free()


def test_closing_is_seen_by_the_next_thread_only_after_the_last_slot() -> None:
    """`close_ready` and `close_done` arrive in order, behind the slots."""
    ring = SlotRing(1, (1, 1))
    slot = ring.open()
    assert slot is not None
    ring.close(slot)
    ring.close_ready()
    assert ring.take_ready(0) is slot
    assert not ring.ready_closed
    assert ring.take_ready(0) is None
    assert ring.ready_closed
    ring.finish(slot)
    ring.close_done()
    assert ring.take_done(0) is slot
    assert ring.take_done(0) is None
    assert ring.done_closed


def test_a_slot_is_ready_when_its_images_are_decoded_and_those_before_it_are_ready() -> None:
    """Slots keep their order, whichever image takes longest; the end comes behind all of them."""
    ring = SlotRing(2, (1, 1))
    first, second = ring.open(), ring.open()
    assert first is not None
    assert second is not None
    for slot in (first, first, second):
        ring.begin_decoding(slot)
    ring.close(first)
    ring.close(second)
    ring.close_ready()
    assert ring.engine_is_behind()
    ring.end_decoding(second)
    ring.end_decoding(first)
    assert ring.take_ready(0) is None
    ring.end_decoding(first)
    assert [ring.take_ready(0), ring.take_ready(0)] == [first, second]
    assert ring.take_ready(0) is None
    assert ring.ready_closed
