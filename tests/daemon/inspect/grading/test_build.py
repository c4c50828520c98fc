"""A strip's record from its events: whole defects, coverage, edges, roll marks."""

from __future__ import annotations

import msgspec
import pytest
from tests.daemon.inspect.grading.strips import CONFIG, STRIP, MadeStrip

from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.record import Flaw, Mark, find_periodic
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import DefectClosed, Periodic, StripEnd


def test_pieces_of_one_defect_are_one_with_united_box_and_mean_score() -> None:
    """Area is their sum, the event is that of the largest, the edge the nearest of any."""
    strip = MadeStrip()
    strip.defect(990.0, size_mm=(4.0, 10.0), across_mm=100.0, part_of="p", score=0.5, peak=0.6)
    second = strip.defect(1000.0, size_mm=(6.0, 20.0), across_mm=102.0, part_of="p", score=0.9)
    (whole,) = strip.record().defects
    assert (whole.pieces, whole.seq, whole.area_mm2) == (2, second.seq, 160.0)
    assert whole.along_mm == (990.0, 1020.0)
    assert whole.across_mm == (100.0, 108.0)
    assert (whole.length_mm, whole.width_mm) == (30.0, 8.0)
    assert whole.score == pytest.approx((0.5 * 40 + 0.9 * 120) / 160)
    assert whole.edge_distance_mm == (100.0, 892.0)


def test_a_closed_defect_takes_the_place_of_the_pieces_that_it_names() -> None:
    """Also of those that had other names before they met; the others stay."""

    strip = MadeStrip()
    strip.defect(0.0, part_of="a")
    large = strip.defect(10.0, part_of="b", size_mm=(20.0, 20.0))
    piece = strip.defect(20.0, part_of="a")
    strip.defect(500.0, part_of="other")
    assert piece.box_mm is not None
    whole = DefectClosed(
        stream="s",
        seq=99,
        camera="top",
        strip=STRIP,
        side="top",
        t_ns=1,
        part_of="a",
        joined=("b",),
        pieces=3,
        frames={},
        class_id=1,
        class_name="pits",
        score=0.9,
        peak=0.9,
        area_px=1,
        area_mm2=420.0,
        position=piece.position,
        box_mm=piece.box_mm,
        size_mm=(20.0, 30.0),
        edge_distance_mm=(1.0, 2.0),
        cut_by=(),
    )
    strip.events.append(whole)
    builder = RecordBuilder(STRIP, CONFIG)
    for event in strip.events:
        builder.add(event)
    found = {flaw.name: flaw for flaw in builder.record().defects}
    assert set(found) == {"a", "other"}
    assert (found["a"].seq, found["a"].pieces, found["a"].area_mm2) == (large.seq, 3, 420.0)
    assert found["a"].length_mm == 30.0


def test_what_was_not_inspected_is_by_side_and_place() -> None:
    """Gaps of two cameras on other sides do not hide each other; a second sender is no gap."""
    strip = MadeStrip()
    strip.gap(10.0, 5.0)
    strip.gap(12.0, 5.0, "bottom")
    strip.gap(None, 3.0, cause=Cause.OVERLOAD)
    record = strip.record()
    assert record.blind_along("top") == [(10_000.0, 15_000.0)]
    assert record.blind_along(None) == [(10_000.0, 17_000.0)]
    assert record.blind_unplaced_mm("top") == 3000.0
    assert record.blind_unplaced_mm("bottom") == 0.0
    assert record.length_mm == 100_000.0
    assert record.inspected_mm("bottom", (0.0, 20_000.0)) == 15_000.0
    assert record.inspected_m2(None, (0.0, 20_000.0)) == pytest.approx(15 + 15)


def test_a_second_sender_is_not_of_the_strip() -> None:
    builder = RecordBuilder(STRIP, CONFIG)
    builder.add(MadeStrip().gap(0.0, 5.0, cause=Cause.SECOND_SENDER))
    assert builder.record().blind_along("top") == []


def test_a_camera_that_told_nothing_has_not_inspected_the_strip() -> None:
    """Nor has one that saw less of it than another."""
    record = MadeStrip(cameras=("top",)).record()
    assert record.blind_along("bottom") == [(0.0, 100_000.0)]
    strip = MadeStrip()
    events = strip.all_events()
    assert isinstance(events[-1], StripEnd)
    events[-1] = msgspec.structs.replace(events[-1], metres_inspected=60.0)
    builder = RecordBuilder(STRIP, CONFIG)
    for event in events:
        builder.add(event)
    assert builder.record().blind_unplaced_mm("bottom") == 40_000.0


def test_lines_lost_within_frames_are_not_inspected() -> None:
    """Only the report tells of them."""
    events = MadeStrip().all_events()
    assert isinstance(events[-1], StripEnd)
    events[-1] = msgspec.structs.replace(
        events[-1], metres_inspected=98.0, metres_missed={Cause.LINES_LOST: 2.0}
    )
    builder = RecordBuilder(STRIP, CONFIG)
    for event in events:
        builder.add(event)
    assert builder.record().blind_unplaced_mm(None) == 2000.0


def test_defects_that_the_journal_lost_are_counted() -> None:
    """The report knows how many there were."""
    strip = MadeStrip()
    strip.defect(1.0)
    strip.defect(2.0)
    events = strip.all_events()
    builder = RecordBuilder(STRIP, CONFIG)
    for event in (*events[:2], *events[3:]):
        builder.add(event)
    assert builder.record().pieces_lacking == 1


def test_the_width_is_that_of_the_strip_where_its_edges_are_known() -> None:
    strip = MadeStrip()
    assert strip.record().width_mm("top") == 1000.0
    strip.defect(1.0, edges_mm=(50.0, 950.0))
    assert strip.record().width_mm("top") == pytest.approx(900.0)
    assert strip.record().width_mm("bottom") == 1000.0


def flaw(at_mm: float, across_mm: float, side: str = "top") -> Flaw:
    along, across = (at_mm - 1, at_mm + 1), (across_mm - 1, across_mm + 1)
    return Flaw(
        *("n", 1, "top", side, 1, "pits", 0.9, 0.9, 4.0, along, across, 2.0, 2.0, (None, None))  # type: ignore[arg-type]
    )


def test_defects_at_the_places_of_a_roll_are_its_marks() -> None:
    """In its lane, on its side, from first to last tooth, a turn or a few from another."""
    mark = Mark("m", "top", 400.0, 2000.0, ("F7",), 1000.0, 21_000.0, 11, 0, 1e-9)
    cases = [
        (flaw(1000.0, 400.0), True),
        (flaw(3005.0, 410.0), True),
        (flaw(9010.0, 400.0), True),  # three turns later
        (flaw(4000.0, 400.0), False),  # between two teeth
        (flaw(5005.0, 430.0), False),  # beside the lane
        (flaw(19_030.0, 400.0), False),  # alone: nothing is near a turn from it
        (flaw(23_005.0, 400.0), False),  # behind the last
        (flaw(5005.0, 400.0, "bottom"), False),
    ]
    backwards = Mark("m", "top", 400.0, 2000.0, ("F7",), 21_000.0, 1000.0, 11, 0, 1e-9)
    for one in (mark, backwards):
        for defect, _ in cases:
            defect.is_periodic = False
        find_periodic([defect for defect, _ in cases], [one])
        assert [defect.is_periodic for defect, _ in cases] == [expected for _, expected in cases]


def test_the_latest_event_of_a_roll_mark_is_what_the_record_has() -> None:
    """Its teeth are flagged; the pieces come before the event that tells of them."""
    opened = Periodic(
        stream="s",
        seq=1,
        camera="top",
        strip=STRIP,
        session="x",
        frame_seq=1,
        t_ns=1,
        mark="top-x-1",
        state="opened",
        side="top",
        lane_mm=405.0,
        period_mm=2000.0,
        rolls=("F7",),
        first_mm=1005.0,
        last_mm=5005.0,
        teeth=3,
        missed_teeth=0,
        p_value=1e-9,
    )
    closed = msgspec.structs.replace(opened, state="closed", last_mm=9005.0, teeth=5)
    strip = MadeStrip()
    for turn in range(5):
        strip.defect(1000.0 + 2000.0 * turn)
    strip.defect(2000.0)
    strip.events += [opened, closed]
    builder = RecordBuilder(STRIP, CONFIG)
    for event in strip.events:
        builder.add(event)
    record = builder.record()
    assert [(mark.teeth, mark.last_mm, mark.rolls) for mark in record.marks] == [
        (5, 9005.0, ("F7",))
    ]
    assert [flaw.is_periodic for flaw in record.defects] == [*5 * [True], False]
