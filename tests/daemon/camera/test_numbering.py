"""Frame ids become numbers: what is lost leaves numbers out, a new count begins a session."""

from __future__ import annotations

import random

import pytest

from stripwatch.camera.numbering import SessionNumbers
from stripwatch.camera.parts import Place


def numbers(id_period: int | None) -> SessionNumbers:
    names = (f"s{index}" for index in range(100))
    return SessionNumbers(id_period, lambda: next(names))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3], [0, 1, 2]),
        ([7, 8, 10], [0, 1, 3]),
        ([65534, 65535, 1, 2], [0, 1, 2, 3]),
        ([65534, 1, 2], [0, 2, 3]),
        ([65535, 3], [0, 3]),
    ],
)
def test_ids_of_16_bits_wrap_to_1(ids: list[int], expected: list[int]) -> None:
    tested = numbers(65535)
    assert [tested.number_of(one) for one in ids] == expected
    assert tested.session == "s0"


def test_random_losses_leave_out_as_many_numbers() -> None:
    """20,000 frames across two wraps, one in ten lost, in runs of up to 400."""
    chance = random.Random(4)
    tested = numbers(65535)
    at, first = 0, True
    for _ in range(20_000):
        step = chance.randint(1, 400) if chance.random() < 0.1 else 1
        at += 0 if first else step
        first = False
        assert tested.number_of(at % 65535 + 1) == at
    assert tested.losses.frames == at - 19_999


def test_ids_of_64_bits_do_not_wrap() -> None:
    tested = numbers(None)
    assert [tested.number_of(one) for one in (0, 65535, 65536, 2**40)] == [0, 65535, 65536, 2**40]


def test_an_id_beyond_16_bits_shows_that_they_do_not_wrap() -> None:
    tested = numbers(65535)
    assert [tested.number_of(one) for one in (65534, 65535, 65536, 65538)] == [0, 1, 2, 4]


@pytest.mark.parametrize("ids", [(500, 1), (500, 500), (20_000, 7)])
def test_a_camera_that_counts_anew_begins_a_session(ids: tuple[int, int]) -> None:
    tested = numbers(65535)
    tested.number_of(ids[0])
    assert tested.number_of(ids[1]) == 0
    assert tested.session == "s1"
    assert tested.losses.restarts == 1


def follow(tested: SessionNumbers, frame_id: int, place: Place, lost: int = 0) -> int:
    return tested.follow_line(tested.number_of(frame_id), place, 64, lost)


def test_lines_that_passed_between_two_frames_leave_one_number_out() -> None:
    tested = numbers(65535)
    assert follow(tested, 1, Place("C1", 0)) == 0
    assert follow(tested, 2, Place("C1", 64)) == 1
    assert follow(tested, 3, Place("C1", 200)) == 3  # 72 lines have passed
    assert follow(tested, 4, Place("C1", 265)) == 4  # one line is rounding
    assert (tested.losses.jumps, tested.losses.frames) == (1, 0)


def test_lines_that_were_counted_as_skipped_are_no_jump() -> None:
    tested = numbers(65535)
    assert follow(tested, 1, Place("C1", 0), lost=36) == 0
    assert follow(tested, 2, Place("C1", 100)) == 1
    assert (tested.losses.lines, tested.losses.jumps) == (36, 0)


@pytest.mark.parametrize(
    ("frame_id", "place", "expected"),
    [
        (2, Place("C2", 900), 1),  # another strip
        (4, Place("C1", 900), 3),  # a frame is missing, which says it already
        (2, Place("C1", None), 1),
        (2, Place("C1", 900, line_reversed=True), 1),
    ],
)
def test_a_place_that_cannot_be_compared_is_no_jump(
    frame_id: int, place: Place, expected: int
) -> None:
    tested = numbers(65535)
    follow(tested, 1, Place("C1", 0))
    assert follow(tested, frame_id, place) == expected
    assert tested.losses.jumps == 0


def test_a_strip_that_runs_backwards_jumps_downwards() -> None:
    tested = numbers(65535)
    assert follow(tested, 1, Place("C1", 1000, line_reversed=True)) == 0
    assert follow(tested, 2, Place("C1", 936, line_reversed=True)) == 1
    assert follow(tested, 3, Place("C1", 800, line_reversed=True)) == 3
