"""Where the pixels of a frame lie on the strip: sides, mirrored cameras, strips that run back."""

from __future__ import annotations

import msgspec
import pytest

from stripwatch.config.sections import Camera, Geometry
from stripwatch.inspect.coverage import miss_of
from stripwatch.inspect.events import StripTally
from stripwatch.inspect.sequence import SequenceTracker
from stripwatch.inspect.strip.coordinates import CameraPlace, edge_distances
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Box
from stripwatch.wire.frame import FrameHeader

GEOMETRY = Geometry(frame_lines=8, frame_pixels=32, mm_per_line=2.0, mm_per_pixel=0.5)
STRAIGHT = CameraPlace(Camera(name="top", crossweb_offset_mm=100.0), GEOMETRY)
MIRRORED = CameraPlace(Camera(name="top", crossweb_offset_mm=100.0, mirrored=True), GEOMETRY)
BOX_PX = (4, 1, 2, 3)  # x, y, width, height


def header(seq: int = 0, **changes: object) -> FrameHeader:
    plain = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=7, shape=(8, 32), dtype="u8", codec="raw"
    )
    return msgspec.structs.replace(plain, **changes)


def test_a_box_reaches_to_the_outer_borders_of_its_pixels() -> None:
    assert STRAIGHT.box(header(line=50), BOX_PX) == Box((102.0, 108.0), (102.0, 103.0))
    assert STRAIGHT.box(header(), BOX_PX) == Box(None, (102.0, 103.0))


def test_the_first_pixel_of_a_mirrored_camera_is_its_rightmost() -> None:
    """The offset is that of the left border of its field, whichever way its pixels run."""
    assert MIRRORED.box(header(line=50), BOX_PX).crossweb_mm == (113.0, 114.0)
    assert MIRRORED.box(header(line=50), (0, 0, 32, 8)).crossweb_mm == (100.0, 116.0)


def test_lines_of_a_strip_that_runs_back_fall_from_row_to_row() -> None:
    """A frame of rows 50, 49, ... 43 covers what one of rows 43 to 50 does, upside down."""
    back = header(line=50, line_reversed=True)
    assert back.lines_passed == header(line=43).lines_passed == (43, 51)
    assert STRAIGHT.box(back, (4, 1, 2, 3)) == STRAIGHT.box(header(line=43), (4, 4, 2, 3))
    assert (back.next_line, header(line=43).next_line) == (42, 51)


@pytest.mark.parametrize("place", [STRAIGHT, MIRRORED])
@pytest.mark.parametrize("line_reversed", [False, True])
def test_the_centroid_of_one_pixel_is_the_middle_of_its_box(
    place: CameraPlace, *, line_reversed: bool
) -> None:
    frame = header(line=50, line_reversed=line_reversed)
    box, position = place.box(frame, (7, 3, 1, 1)), place.position(frame, (7.0, 3.0))
    assert box.downweb_mm is not None
    assert position.downweb_mm == sum(box.downweb_mm) / 2
    assert position.crossweb_mm == sum(box.crossweb_mm) / 2


def test_distances_are_from_the_box_and_null_where_an_edge_is_unknown() -> None:
    box = Box(None, (102.0, 103.0))
    assert edge_distances(box, (100.5, 1000.0)) == (1.5, 897.0)
    assert edge_distances(box, (None, 102.5)) == (None, -0.5)


def test_a_frame_lost_from_a_strip_that_runs_back_has_its_lines() -> None:
    tracker = SequenceTracker()
    tracker.arrive(header(0, line=100, line_reversed=True))
    lost = tracker.arrive(header(3, line=76, line_reversed=True)).lost
    assert lost is not None
    assert (lost.lines, lost.next_line) == ((77, 93), 76)  # two frames of eight lines
    turned = tracker.arrive(header(5, line=90)).lost
    assert turned is not None
    assert turned.lines is None  # where it turned is not known


def test_a_session_that_is_resumed_runs_as_its_next_frame_says() -> None:
    tracker = SequenceTracker()
    tracker.resume("s", 4, None, 92)
    lost = tracker.arrive(header(6, line=84, line_reversed=True)).lost
    assert lost is not None
    assert (lost.cause, lost.lines) == (Cause.DAEMON_DOWN, (85, 93))


def test_lines_lost_within_a_frame_are_metres_not_inspected() -> None:
    """They are counted once: a frame that is missed covers them, too."""
    frame = header(line=50, lines_lost=4)
    tally = StripTally("A", "s", 0, 0)
    tally.add_frame(frame, [])
    tally.add_miss(miss_of(header(1, line=62, lines_lost=2), Cause.OVERLOAD), 8)
    report = tally.end("top", GEOMETRY)
    assert report.metres_inspected == 0.016
    assert report.metres_missed == {Cause.LINES_LOST: 0.008, Cause.OVERLOAD: 0.02}
    assert report.frames_missed == {Cause.OVERLOAD: 1}
