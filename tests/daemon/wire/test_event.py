"""Events, version 1, and their JSON Schema."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.event import (
    EVENT_BYTES_MAX,
    Box,
    CameraStatus,
    DaemonReload,
    DaemonStart,
    DaemonStop,
    Defect,
    DefectClosed,
    Event,
    FrameRange,
    FrameResult,
    Gap,
    Light,
    Periodic,
    Position,
    Reason,
    Review,
    State,
    Status,
    StripEnd,
    StripStart,
    Threshold,
    build_event,
    parse_event,
    topic_of,
)
from stripwatch.wire.operator import ThresholdChange
from stripwatch.wire.schema import schema

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden"

EXAMPLES: dict[str, Event] = {
    "defect": Defect(
        stream="5d0c",
        seq=17,
        camera="top",
        strip="coil-7",
        session="3f9a",
        frame_seq=41,
        t_ns=1_790_000_000_000_000_000,
        class_id=3,
        class_name="scratches",
        score=0.9312,
        peak=0.998,
        area_px=6,
        bbox_px=(10, 2, 2, 3),
        centroid_px=(10.5, 3.0),
        position=Position(downweb_mm=5249.75, crossweb_mm=6.88),
        size_mm=(1.25, 1.5),
        area_mm2=1.88,
        frame_shape=(256, 1600),
        rle="2563 3 2819 3",
        rle_coco="R`23m70no\\<",
        part_of="top-3f9a-40-0",
        model="fa29fef7543bbb59",
        box_mm=Box(downweb_mm=(5249.0, 5250.5), crossweb_mm=(6.25, 7.5)),
        edge_distance_mm=(6.25, None),
    ),
    "defect_closed": DefectClosed(
        stream="5d0c",
        seq=19,
        camera="top",
        strip="coil-7",
        side="top",
        t_ns=1_790_000_000_000_000_000,
        part_of="top-3f9a-40-0",
        joined=("top-3f9a-41-1",),
        pieces=3,
        frames={"top": FrameRange(session="3f9a", first_frame_seq=40, last_frame_seq=41)},
        class_id=3,
        class_name="scratches",
        score=0.9144,
        peak=0.998,
        area_px=31,
        area_mm2=9.69,
        position=Position(downweb_mm=5247.31, crossweb_mm=6.92),
        box_mm=Box(downweb_mm=(5243.5, 5250.5), crossweb_mm=(6.25, 10.0)),
        size_mm=(3.75, 7.0),
        edge_distance_mm=(6.25, None),
        cut_by=("gap",),
    ),
    "gap": Gap(
        stream="5d0c",
        seq=18,
        camera="top",
        strip=None,
        session="3f9a",
        first_frame_seq=42,
        last_frame_seq=44,
        count=3,
        cause=Cause.OVERLOAD,
        downweb_mm=(5376.0, 5760.0),
    ),
    "light": Light(
        stream="5d0c",
        seq=18,
        camera="top",
        strip="coil-7",
        session="3f9a",
        frame_seq=530,
        t_ns=1_790_000_000_000_000_002,
        state="opened",
        kind="line",
        crossweb_mm=(406.0, 407.5),
        share=0.712,
    ),
    "periodic": Periodic(
        stream="5d0c",
        seq=19,
        camera="top",
        strip="coil-7",
        session="3f9a",
        frame_seq=530,
        t_ns=1_790_000_000_000_000_001,
        mark="top-3f9a-530-1",
        state="opened",
        side="top",
        lane_mm=412.5,
        period_mm=1885.12,
        rolls=("F7 work roll",),
        first_mm=55210.5,
        last_mm=66521.22,
        teeth=6,
        missed_teeth=1,
        p_value=3.21e-9,
    ),
    "strip_start": StripStart(
        stream="5d0c", seq=1, camera="top", strip="coil-7", session="3f9a", frame_seq=0, t_ns=1
    ),
    "strip_end": StripEnd(
        stream="5d0c",
        seq=99,
        camera="top",
        strip="coil-7",
        session="3f9a",
        frame_seq=400,
        t_ns=2,
        frames_inspected=398,
        frames_missed={Cause.LOST: 3},
        metres_inspected=50.944,
        metres_missed={Cause.LOST: 0.384},
        defects={"scratches": 12},
        whole_defects={"scratches": 9},
    ),
    "status": Status(
        stream="5d0c",
        t_ns=3,
        state=State.DEGRADED,
        reasons=(Reason(why="silent_camera", text="nothing has come", camera="bottom"),),
        uptime_s=12.5,
        model="fa29fef7543bbb59",
        frames_per_s=63.2,
        frames_inspected=790,
        latency_ms={"total": {"p50": 21.0, "p99": 39.5, "max": 41.0}},
        drops={Cause.LATE: 1},
        cameras={
            "top": CameraStatus(
                session="3f9a",
                first_frame_seq=0,
                last_frame_seq=789,
                inspected=787,
                missed={Cause.LOST: 3},
                sessions=1,
            )
        },
        subscribers=2,
        last_event_seq=99,
    ),
    "review": Review(
        stream="5d0c",
        seq=98,
        camera="top",
        strip="COIL-4711",
        t_ns=7,
        who="Eva Müller",
        defect_seq=17,
        class_name="scratches",
        verdict="other",
        said="cracks",
        box_px=(3, 4, 50, 60),
        note="at the edge",
    ),
    "threshold": Threshold(
        stream="5d0c",
        seq=99,
        t_ns=8,
        who="eva",
        changes=(
            ThresholdChange(class_name="scratches", key="threshold", old=0.5, new=0.625),
            ThresholdChange(class_name="pits", key="min_area_px", old=30, new=40),
        ),
        note="",
    ),
    "daemon_start": DaemonStart(
        stream="5d0c",
        seq=100,
        t_ns=5,
        version="1.0",
        model="fa29fef7543bbb59",
        config="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "daemon_reload": DaemonReload(
        stream="5d0c",
        seq=102,
        t_ns=7,
        result="done",
        model="fa29fef7543bbb59",
        config="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        changes=("pits.threshold 0.5 -> 0.95",),
        need_restart=("batch.rows 4 -> 8",),
        detail="",
    ),
    "daemon_stop": DaemonStop(
        stream="5d0c", seq=101, t_ns=6, reason="failed", detail="the device failed"
    ),
    "frame": FrameResult(
        camera="top",
        session="3f9a",
        frame_seq=41,
        strip=None,
        t_ns=4,
        area_px=(0, 0, 6, 0),
        peak=(0.01, 0.02, 0.998, 0.0),
        defects=1,
    ),
}

# Added to version 1: an event that was kept before still parses.
ADDED_KEYS = {
    *("images_dropped", "pictures_dropped", "mask_block_px"),
    *("said", "box_px", "note"),
    *("is_whole", "reasons", "silent_cameras", "whole_defects"),
}

ADDED_TO_DEFECT = {"box_mm", "edge_distance_mm", "side"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_events(name: str) -> None:
    """The bytes of version 1 do not change, and parse back to the same event."""
    event = EXAMPLES[name]
    golden = (GOLDEN / f"event_{name}.json").read_bytes()
    topic, payload = build_event(event)
    assert payload == golden
    assert parse_event(topic, golden) == event


def test_topics() -> None:
    """A subscriber can choose by kind, camera and class."""
    assert {name: topic_of(event) for name, event in EXAMPLES.items()} == {
        "defect": "defect.top.scratches",
        "defect_closed": "defect_closed.top.scratches",
        "gap": "gap.top",
        "light": "light.top",
        "periodic": "periodic.top",
        "strip_start": "strip.top",
        "strip_end": "strip.top",
        "review": "review.top",
        "threshold": "threshold",
        "daemon_start": "daemon",
        "daemon_reload": "daemon",
        "daemon_stop": "daemon",
        "status": "status",
        "frame": "frame.top",
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_events_satisfy_the_schema_and_broken_ones_do_not(name: str) -> None:
    """Without any required key, or with a wrong type, an event is not valid."""
    validator = jsonschema.Draft202012Validator(schema("event"))
    event = json.loads(build_event(EXAMPLES[name])[1])
    validator.validate(event)
    for key in event:
        if key == "v":
            continue  # it has a default
        lacking = {other: event[other] for other in event if other != key}
        is_added = key in ADDED_KEYS or (key in ADDED_TO_DEFECT and name == "defect")
        assert validator.is_valid(lacking) == is_added, key
        wrong = copy.deepcopy(event)
        wrong[key] = {"no": ["such", "value"]}
        assert not validator.is_valid(wrong), key


@pytest.mark.parametrize("name", EXAMPLES)
def test_truncated_flipped_and_mistitled_events_are_wire_errors(name: str) -> None:
    topic, payload = build_event(EXAMPLES[name])
    for length in range(len(payload)):
        with pytest.raises(WireError, match="bad_event"):
            parse_event(topic, payload[:length])
    with pytest.raises(WireError, match="under topic"):
        parse_event(b"defect", payload)
    for position in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[position // 8] ^= 1 << position % 8
        try:
            parse_event(topic, bytes(flipped))
        except WireError as error:
            assert error.cause is Cause.BAD_EVENT


@given(st.binary(max_size=100))
def test_any_bytes_are_an_event_or_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        parse_event(b"status", payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 1_000_000,
        b'{"type":' * 1_000_000,
        b'{"type":"status","cameras":' + b'{"a":' * 100_000,
        b'{"type":"status","type":"gap"}',
        b'{"type":"gap","seq":' + b"9" * 100_000 + b"}",
        b'{"type":"gap","stream":"\\ud800"}',
        b'{"type":"gap","stream":"\xff"}',
    ],
)
def test_json_bombs_are_wire_errors(payload: bytes) -> None:
    with pytest.raises(WireError, match="bad_event"):
        parse_event(b"status", payload)


@pytest.mark.parametrize("name", ["", "a.b", "../up", "pits\n", "x" * 33])
def test_a_class_name_is_one_plain_word(name: str) -> None:
    """It is part of a topic, and of what people print and file."""
    event = msgspec.structs.replace(EXAMPLES["defect"], class_name=name)
    with pytest.raises(WireError, match="class_name"):
        parse_event(*build_event(event))


def test_an_event_beyond_its_limit_is_refused_unread() -> None:
    with pytest.raises(WireError, match="at most"):
        parse_event(b"status", bytes(EVENT_BYTES_MAX + 1))


def test_readers_may_meet_keys_they_do_not_know() -> None:
    """A later daemon may add keys; version 1 stays version 1."""
    topic, payload = build_event(EXAMPLES["gap"])
    more = msgspec.json.encode(json.loads(payload) | {"new": 1})
    assert parse_event(topic, more) == EXAMPLES["gap"]
