"""Events as lines of text."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from stripwatch.view.event_text import format_event
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    Box,
    DaemonReload,
    Defect,
    DefectClosed,
    FrameRange,
    Gap,
    Light,
    Periodic,
    Position,
    Reason,
    State,
    Status,
    StripEnd,
    StripStart,
)
from stripwatch.wire.state import Why

MakeDefect = Callable[..., Defect]


def test_a_line_names_class_place_and_size(make_defect: MakeDefect) -> None:
    line = format_event(make_defect()).plain
    for words in ("top", "C1", "1.234 m", "88.8 mm", "cracks", "6.0 x 2.0", "score 0.90"):
        assert words in line
    gap = Gap(
        stream="a",
        seq=1,
        camera="top",
        strip=None,
        session="s",
        first_frame_seq=3,
        last_frame_seq=5,
        count=3,
        cause=Cause.OVERLOAD,
        downweb_mm=(1000.0, 1300.0),
    )
    assert "NOT INSPECTED: 3 frames (3 to 5), overload" in format_event(gap).plain


def test_a_fault_of_the_light_names_its_place_and_how_much() -> None:
    opened = Light(
        stream="a",
        seq=1,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=9,
        t_ns=1,
        state="opened",
        kind="segment",
        crossweb_mm=(412.5, 460.0),
        share=0.62,
    )
    assert format_event(opened).plain.endswith(
        "412.5 mm  LIGHT opened: segment to 460.0 mm, 38 % darker than expected"
    )
    closed = msgspec.structs.replace(opened, state="closed", kind="bright", share=1.5)
    assert format_event(closed).plain.endswith("50 % brighter than expected")
    assert "LIGHT closed: bright" in format_event(closed).plain


def test_a_roll_mark_names_place_period_and_rolls() -> None:
    opened = Periodic(
        stream="a",
        seq=1,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=9,
        t_ns=1,
        mark="top-s-9-1",
        state="opened",
        side="top",
        lane_mm=412.5,
        period_mm=1885.12,
        rolls=("F6 work roll", "F7 work roll"),
        first_mm=55210.5,
        last_mm=66521.2,
        teeth=6,
        missed_teeth=1,
        p_value=1e-9,
    )
    assert format_event(opened).plain.endswith(
        "55.211 m     412.5 mm  ROLL MARK: every 1885.1 mm to 66.521 m, top, "
        "6 teeth, 1 missed; F6 work roll, F7 work roll"
    )
    closed = msgspec.structs.replace(opened, state="closed", rolls=())
    assert "ROLL MARK closed: " in format_event(closed).plain
    assert format_event(closed).plain.endswith("no roll of the configuration matches")


def test_a_strip_has_a_line_at_its_start_and_its_end() -> None:
    """The end sums up: inspected, missed by cause, defects by class."""
    start = StripStart(
        stream="a", seq=1, camera="top", strip="C1", session="s", frame_seq=7, t_ns=1
    )
    assert "C1              strip starts at frame 7" in format_event(start).plain
    end = StripEnd(
        stream="a",
        seq=2,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=9,
        t_ns=1,
        frames_inspected=1,
        frames_missed={Cause.LOST: 2},
        metres_inspected=0.25,
        metres_missed={Cause.LOST: 0.5},
        defects={"pits": 2, "cracks": 1},
    )
    assert format_event(end).plain.endswith(
        "strip ends: 1 frame (0.250 m) inspected, 2 lost (0.500 m) missed; 1 cracks, 2 pits"
    )


def test_a_whole_defect_names_its_pieces_and_what_cut_it() -> None:
    """In a strip's report whole defects are counted, lines lost within frames as not inspected."""
    whole = DefectClosed(
        stream="a",
        seq=3,
        camera="top",
        strip="C1",
        side="top",
        t_ns=1,
        part_of="top-s-1-0",
        joined=(),
        pieces=3,
        frames={"top": FrameRange("s", 1, 3)},
        class_id=2,
        class_name="cracks",
        score=0.9,
        peak=1.0,
        area_px=12,
        area_mm2=12.0,
        position=Position(downweb_mm=1234.0, crossweb_mm=88.8),
        box_mm=Box((1230.0, 1238.0), (85.0, 91.0)),
        size_mm=(6.0, 8.0),
        edge_distance_mm=(None, None),
        cut_by=("gap", "limit"),
    )
    line = format_event(whole).plain
    assert line.endswith("6.0 x 8.0     mm  whole, 3 pieces, cut by gap and limit")
    end = StripEnd(
        stream="a",
        seq=4,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=9,
        t_ns=1,
        frames_inspected=1,
        frames_missed={},
        metres_inspected=0.25,
        metres_missed={Cause.LINES_LOST: 0.5},
        defects={"cracks": 3},
        whole_defects={"cracks": 1},
    )
    assert format_event(end).plain.endswith("inspected, lines_lost (0.500 m) missed; 1 cracks")


def test_a_status_shows_state_rate_and_drops() -> None:
    status = Status(
        stream="a",
        t_ns=1,
        state=State.DEGRADED,
        reasons=(
            Reason(why=Why.OVERLOAD, text="frames are dropped", camera="top"),
            Reason(why=Why.LATE, text="frames are late"),
        ),
        uptime_s=1,
        model="m",
        frames_per_s=12.34,
        frames_inspected=50,
        latency_ms={},
        drops={Cause.OVERLOAD: 3, Cause.LATE: 1},
        cameras={},
        subscribers=1,
        last_event_seq=1,
    )
    line = format_event(status).plain
    assert line.endswith(
        "DEGRADED, 12.3 frames/s, 50 inspected, 4 missed or rejected; "
        "camera top: frames are dropped; frames are late"
    )


def test_a_position_that_is_unknown_is_a_dash(make_defect: MakeDefect) -> None:
    defect = make_defect(position=Position(downweb_mm=None, crossweb_mm=88.8))
    assert "  - m  " in format_event(defect).plain


def test_a_reload_shows_what_it_changed_or_why_not() -> None:
    reload = DaemonReload(
        stream="a",
        seq=1,
        t_ns=1,
        result="done",
        model="m",
        config="c",
        changes=("pits.threshold 0.5 -> 0.95",),
        need_restart=("batch.rows 4 -> 8",),
        detail="",
    )
    assert format_event(reload).plain.endswith(
        "daemon reloads: pits.threshold 0.5 -> 0.95; needs a restart: batch.rows 4 -> 8"
    )
    nothing = msgspec.structs.replace(reload, changes=(), need_restart=())
    assert format_event(nothing).plain.endswith("daemon reloads: no changes")
    refused = msgspec.structs.replace(nothing, result="refused", detail="it is no TOML")
    assert format_event(refused).plain.endswith("daemon does not reload: it is no TOML")
