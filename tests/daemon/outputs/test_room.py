"""Room for copies: bounded, given back, and never none for a single large one."""

from __future__ import annotations

from stripwatch.outputs.room import Room


def test_no_more_is_held_than_there_is_room_for() -> None:
    """What was given back can be taken again."""
    room = Room(100)
    assert room.take(60)
    assert not room.take(41)
    assert room.take(40)
    assert not room.take(1)
    room.give_back(60)
    assert room.take(60)


def test_anything_fits_where_nothing_is_held() -> None:
    """A frame larger than the bound is worked on alone, not never."""
    room = Room(100)
    assert room.take(1000)
    assert not room.take(1)
    room.give_back(1000)
    assert room.take(1)
