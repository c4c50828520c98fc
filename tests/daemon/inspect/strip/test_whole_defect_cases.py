"""Whole defects, one case after the other: how pieces meet, and what ends a defect."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tests.daemon.inspect.strip.moving_strip import (
    Mask,
    Sent,
    View,
    components,
    config_of,
    outputs_of,
    told,
    whole_defects,
    with_misses,
)

from stripwatch.config.sections import Camera
from stripwatch.inspect.inspector import Inspector, Output
from stripwatch.inspect.strip.overlaps import WAIT_FRAMES
from stripwatch.inspect.strip.whole import PIECES_MAX
from stripwatch.wire.defect import JOINED_MAX
from stripwatch.wire.event import Defect, DefectClosed, StripEnd

TOP = Camera(name="top")
LEFT, RIGHT = Camera(name="left"), Camera(name="right", crossweb_offset_mm=6)


def drawn(*rows: str) -> Mask:
    """A mask in characters: a digit is a class, anything else is nothing."""
    return np.array(
        [[1 << int(sign) - 1 if sign.isdigit() else 0 for sign in row] for row in rows], np.uint8
    )


def sent(mask: Mask, height: int, **of_view: object) -> list[Sent]:
    """The frames of one camera over a strip, all of one height."""
    camera = of_view.pop("camera", TOP)
    return with_misses(View(camera, mask, [height] * (len(mask) // height), **of_view))  # type: ignore[arg-type]


def inspected(frames: list[Sent], cameras: tuple[Camera, ...] = (TOP,)) -> list[Output]:
    return outputs_of(Inspector(config_of(cameras, frames[0][0].shape[1])), frames, 3)


def pieces(outputs: list[Output]) -> list[Defect]:
    return [event for event in outputs if isinstance(event, Defect)]


def closed(outputs: list[Output]) -> list[DefectClosed]:
    return [event for event in outputs if isinstance(event, DefectClosed)]


def test_a_defect_inside_one_frame_is_whole_and_nothing_follows() -> None:
    outputs = inspected(sent(drawn("....", ".33.", "....", "...."), 4))
    (piece,) = pieces(outputs)
    assert piece.is_whole
    assert closed(outputs) == []


def test_the_legs_of_a_u_meet_later_and_are_one() -> None:
    """They were published under two names; the younger one is told of as joined."""
    outputs = inspected(sent(drawn("1..1", "1..1", "1..1", "1111", "....", "...."), 2))
    (whole,) = closed(outputs)
    first, second, third = pieces(outputs)
    assert first.part_of == third.part_of == whole.part_of
    assert whole.joined == (second.part_of,)
    assert (whole.pieces, whole.area_px, whole.size_mm, whole.cut_by) == (3, 10, (4.0, 4.0), ())
    assert (whole.frames["top"].first_frame_seq, whole.frames["top"].last_frame_seq) == (0, 1)


def test_one_piece_that_touches_three_joins_them() -> None:
    outputs = inspected(sent(drawn("2.2.2", "2.2.2", "22222", "....."), 2))
    (whole,) = closed(outputs)
    assert (whole.pieces, len(whole.joined), whole.area_px) == (4, 2, 11)
    assert told(outputs) == components(drawn("2.2.2", "2.2.2", "22222"))


def test_a_defect_closes_with_the_frame_that_shows_its_end() -> None:
    """Not later: the event comes before anything of the next frame."""
    outputs = inspected(sent(drawn("1...", "....", "...1"), 1, end=False))
    assert [type(event).__name__ for event in outputs if not hasattr(event, "pixels")] == [
        "StripStart",
        "Defect",
        "DefectClosed",
        "Defect",
    ]


def test_a_scratch_over_400_frames_is_one_defect() -> None:
    """Under one name all the way, and closed by the strip's end before its report."""
    mask = np.zeros((400, 9), np.uint8)
    mask[np.arange(400), 4 + np.arange(400) % 2] = 4
    outputs = inspected(sent(mask, 1))
    (whole,) = closed(outputs)
    assert (whole.pieces, whole.area_px, whole.size_mm) == (400, 400, (2.0, 400.0))
    assert {piece.part_of for piece in pieces(outputs)} == {whole.part_of}
    assert whole.position.downweb_mm == 200.0
    report = outputs[-1]
    assert outputs[-2] is whole
    assert isinstance(report, StripEnd)
    assert (report.defects, report.whole_defects) == ({"kind3": 400}, {"kind3": 1})


def test_classes_that_touch_stay_apart() -> None:
    mask = drawn("11", "22", "11", "..")
    outputs = inspected(sent(mask, 1))
    assert told(outputs) == components(mask)
    assert len(whole_defects(outputs)) == 3


def test_a_gap_ends_what_it_touches_and_both_parts_say_so() -> None:
    outputs = inspected(sent(drawn("1..", "1..", "1.2", "1..", "1..", "..."), 1, missed={2}))
    first, second = closed(outputs)
    assert (first.area_px, first.cut_by) == (2, ("gap",))
    assert (second.area_px, second.cut_by) == (2, ("gap",))
    assert first.part_of != second.part_of


@pytest.mark.parametrize("change", ["session", "line", "seq"])
def test_a_new_session_or_a_jump_is_a_gap(change: str) -> None:
    """Also where no frame was counted as missed: a `line` that jumps was not inspected."""
    frames = sent(drawn("1..", "1..", "1..", "..."), 1)
    for index in (2, 3):
        header = frames[index][0]
        value = "other" if change == "session" else getattr(header, change) + 5
        frames[index] = (msgspec.structs.replace(header, **{change: value}), frames[index][1])
    assert [event.cut_by for event in closed(inspected(frames))] == [("gap",), ("gap",)]


def test_a_line_that_is_off_by_one_is_no_gap() -> None:
    frames = sent(drawn("1..", "1..", "..."), 1)
    header = frames[1][0]
    frames[1] = (msgspec.structs.replace(header, line=2), frames[1][1])
    (whole,) = closed(inspected(frames))
    assert (whole.pieces, whole.cut_by) == (2, ())


def test_without_lines_a_defect_has_a_length_and_no_place() -> None:
    (whole,) = closed(inspected(sent(drawn("1..", "11.", "..."), 1, has_line=False)))
    assert whole.box_mm.downweb_mm is None
    assert whole.position.downweb_mm is None
    assert (whole.size_mm, whole.area_px) == ((2.0, 2.0), 3)


def test_a_strip_that_turns_ends_what_touches_the_turn() -> None:
    """What is seen again on the way back is another defect."""
    forward = sent(drawn("..", "1.", "1."), 1, end=False)
    back = sent(drawn("..", "1.", "1."), 1, line_reversed=True, first_seq=3)
    first, second = closed(inspected(forward + back))
    assert (first.cut_by, second.cut_by) == (("turn",), ("turn",))
    assert first.box_mm == second.box_mm


def test_a_mirrored_camera_and_a_reversed_line_tell_of_the_same_places() -> None:
    mask = drawn("1....", "11...", ".1...", ".....")
    camera = Camera(name="top", mirrored=True)
    for line_reversed in (False, True):
        frames = sent(mask, 2, camera=camera, line_reversed=line_reversed)
        assert told(inspected(frames, (camera,))) == components(mask)


def side_by_side(*rows: str, shift: int = 0) -> list[Sent]:
    """Frames of two cameras of 8 pixels that overlap by 2; the right one sees `shift` higher."""
    mask = drawn(*rows)
    left = sent(mask[:, :8], 2, camera=LEFT)
    right = sent(np.roll(mask, -shift, axis=0)[:, 6:], 2, camera=RIGHT)
    return [frame for pair in zip(left, right, strict=True) for frame in pair]


def test_two_cameras_that_overlap_tell_of_one_defect() -> None:
    """What both see is counted once, in the report of the camera that sees the end of it."""
    outputs = inspected(
        side_by_side("..............", "....1111111...", "..............", ".............."),
        (LEFT, RIGHT),
    )
    (whole,) = closed(outputs)
    assert (whole.pieces, whole.area_px, whole.size_mm) == (2, 7, (7.0, 1.0))
    assert set(whole.frames) == {"left", "right"}
    assert whole.box_mm.crossweb_mm == (4.0, 11.0)
    (first, second) = pieces(outputs)
    assert first.part_of == second.part_of == whole.part_of
    reports = [event for event in outputs if isinstance(event, StripEnd)]
    assert [report.whole_defects for report in reports] == [{}, {"kind1": 1}]


@pytest.mark.parametrize(("tolerance_mm", "count"), [(0.0, 2), (1.0, 2), (2.0, 1)])
def test_cameras_may_differ_by_the_tolerance(tolerance_mm: float, count: int) -> None:
    """The right camera sees the same place three lines higher: two lines lie between."""
    rows = (*["."] * 4, "1", *["."] * 3)
    frames = side_by_side(*((row * 2).center(14, ".") for row in rows), shift=3)
    outputs = outputs_of(Inspector(config_of((LEFT, RIGHT), 8, tolerance_mm)), frames, 3)
    assert len(whole_defects(outputs)) == count


def test_cameras_of_one_place_are_not_side_by_side() -> None:
    """Fields that overlap by more than half are joined by no rule: whoever sets no offset."""
    cameras = Camera(name="one"), Camera(name="two")
    mask = drawn("1.", "..")
    frames = [*sent(mask, 2, camera=cameras[0]), *sent(mask, 2, camera=cameras[1])]
    assert all(piece.is_whole for piece in pieces(inspected(frames, cameras)))


def test_a_gap_of_the_other_camera_cuts_what_goes_on_there() -> None:
    """And not what the first camera sees whole."""
    rows = ("......11......", "..............", "....2222222...", "..............")
    frames = side_by_side(*rows)
    frames[2:4] = [(frames[2][0], frames[2][1]), (frames[3][0], None)]
    outputs = inspected(frames, (LEFT, RIGHT))
    assert [(event.class_id, event.cut_by) for event in closed(outputs)] == [
        (1, ()),
        (2, ("gap",)),
    ]


def test_a_silent_camera_is_not_waited_for_for_ever() -> None:
    mask = np.zeros((2 * WAIT_FRAMES, 8), np.uint8)
    mask[0, 7] = 1
    frames = sent(mask, 1, camera=LEFT, end=False)
    (whole,) = closed(inspected(frames, (LEFT, RIGHT)))
    assert whole.cut_by == ("limit",)


def test_a_daemon_that_starts_anew_ends_what_was_open() -> None:
    """What was known is told with the camera's next frame; nothing of it is lost."""
    frames = sent(drawn("1..", "1..", "1..", "..."), 1)
    config = config_of((TOP,), 3)
    killed = Inspector(config)
    before = outputs_of(killed, frames[:2], 2)
    state = killed.open_strips(["top"])["top"]
    assert state is not None
    inspector = Inspector(config)
    inspector.resume("top", state)
    first, second = closed(outputs_of(inspector, frames[2:], 2))
    assert first.part_of == pieces(before)[0].part_of
    assert (first.area_px, first.pieces, first.cut_by) == (2, 2, ("restart",))
    assert (second.area_px, second.cut_by) == (1, ("restart",))
    assert inspector.open_strips(["top"]) == {"top": None}  # the strip has ended


def test_a_comb_of_very_many_teeth_is_not_one_defect() -> None:
    """So that an event and the journal's record of it stay small."""
    mask = np.zeros((4, 2 * JOINED_MAX + 40), np.uint8)
    mask[:2, ::2], mask[2] = 1, 1
    outputs = inspected(sent(mask, 2))
    assert max(len(event.joined) for event in closed(outputs)) == JOINED_MAX
    assert all(event.cut_by == ("limit",) for event in closed(outputs))


@pytest.mark.slow
def test_a_defect_that_never_ends_is_told_of_in_parts() -> None:
    """On a strip without end, what is remembered stays as small as it was."""
    frames = sent(np.ones((PIECES_MAX + 100, 1), np.uint8), 1, end=False)
    inspector = Inspector(config_of((TOP,), 1))
    sizes = []
    outputs: list[Output] = []
    for first in range(0, len(frames), 100):
        outputs += outputs_of(inspector, frames[first : first + 100], 8)
        sizes.append(len(inspector.open_strips(["top"])["top"] or b""))
    (whole,) = closed(outputs)
    assert (whole.pieces, whole.cut_by) == (PIECES_MAX, ("limit",))
    assert max(sizes) < sizes[0] + 100
