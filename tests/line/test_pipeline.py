"""The real pipeline on the fake engine, over real sockets."""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripwatch.config.sections import Batch
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import DeviceError
from stripwatch.testing import fake_line
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    Defect,
    DefectClosed,
    Event,
    FrameResult,
    Gap,
    Status,
    StripEnd,
    StripEvent,
    StripStart,
)
from stripwatch.wire.rle import decode_severstal

STEP = st.one_of(
    st.tuples(st.just("frames"), st.integers(1, 9)),
    st.tuples(st.just("lose"), st.integers(1, 5)),
    st.tuples(st.just("repeat"), st.integers(1, 3)),
    st.tuples(st.just("swap"), st.just(1)),
    st.tuples(st.just("restart"), st.integers(0, 4)),
    st.tuples(st.just("spoil"), st.sampled_from([0, 1, 2, 3, 4])),
    st.tuples(st.just("rubbish"), st.just(1)),
)
SPOILED: list[tuple[dict[str, object], Cause]] = [
    ({"shape": [8, 31]}, Cause.BAD_SHAPE),
    ({"codec": "gif"}, Cause.BAD_CODEC),
    ({"codec": "png"}, Cause.BAD_CODEC),
    ({"shape": [7, 32]}, Cause.BAD_LENGTH),
    ({"dtype": "u16"}, Cause.BAD_DTYPE),
]


def check_coverage(events: list[Event]) -> dict[tuple[str, str], tuple[int, int]]:
    """Check the coverage identity and the frame order; first and last seq by camera, session."""
    frames: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if isinstance(event, FrameResult):
            frames[event.camera, event.session].append((event.frame_seq, event.frame_seq))
        elif isinstance(event, Gap):
            assert event.count == event.last_frame_seq - event.first_frame_seq + 1
            frames[event.camera, event.session].append(
                (event.first_frame_seq, event.last_frame_seq)
            )
    for spans in frames.values():
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert start == end + 1, spans  # neither a hole nor an overlap, in frame order
    return {key: (spans[0][0], spans[-1][1]) for key, spans in frames.items()}


def check_numbers(events: list[Event]) -> None:
    """Numbered events count without a hole, in one stream; number 1 is the daemon's start."""
    numbered = [event for event in events if isinstance(event, StripEvent)]
    assert [event.seq for event in numbered] == list(range(2, len(numbered) + 2))
    assert len({event.stream for event in numbered}) <= 1


@pytest.mark.slow
@settings(max_examples=25)
@given(
    schedule=st.lists(st.tuples(st.sampled_from(["top", "bottom"]), STEP), max_size=25),
    rows=st.integers(1, 4),
    fail_every=st.sampled_from([0, 0, 2, 3]),
    delay_ms=st.sampled_from([0, 0, 3]),
)
def test_every_frame_is_inspected_or_missed(
    schedule: list[tuple[str, tuple[str, int]]], rows: int, fail_every: int, delay_ms: float
) -> None:
    """Under loss, repetition, reordering, restarts, spoiled messages and engine faults."""
    behaviour = FakeBehaviour(fail_every=fail_every, delay_ms=delay_ms)
    sent: dict[tuple[str, str], tuple[int, int]] = {}
    late = 0
    expected_missed: dict[Cause, int] = defaultdict(int)
    with fake_line(behaviour, batch=Batch(rows=rows, wait_ms=5)) as line:
        state = {camera: [0, 0] for camera in ("top", "bottom")}  # session number, next seq

        def send(camera: str, seq: int, **changes: object) -> None:
            session = f"s{state[camera][0]}"
            line.camera.send(camera, session, seq, None, **changes)
            known = sent.get((camera, session))
            first = known[0] if known else (0 if state[camera][0] else seq)
            expected_missed[Cause.LOST] += seq - (known[1] + 1 if known else first)
            sent[camera, session] = (first, seq)

        for camera, (step, amount) in schedule:
            here = state[camera]
            if step == "frames":
                for _ in range(amount):
                    send(camera, here[1])
                    here[1] += 1
            elif step == "lose":
                here[1] += amount
            elif step == "repeat" and (camera, f"s{here[0]}") in sent:
                for _ in range(amount):
                    line.camera.send(camera, f"s{here[0]}", sent[camera, f"s{here[0]}"][1])
                    late += 1
            elif step == "swap":
                send(camera, here[1] + 1)
                line.camera.send(camera, f"s{here[0]}", here[1])
                late += 1
                here[1] += 2
            elif step == "restart" and (camera, f"s{here[0]}") in sent:
                here[:] = [here[0] + 1, amount]
            elif step == "spoil":
                changes, cause = SPOILED[amount]
                send(camera, here[1], **changes)
                expected_missed[cause] += 1
                here[1] += 1
            elif step == "rubbish":
                line.camera.socket.send_multipart([b"frame." + camera.encode(), b"{", b""])
        for camera in state:
            send(camera, state[camera][1])
            line.wait_for_frame(camera, f"s{state[camera][0]}", state[camera][1])
        rejected = line.pipeline.receiver.arrivals.rejected
        assert rejected[Cause.LATE] == late
        assert rejected[Cause.BAD_HEADER] == sum(step == "rubbish" for _, (step, _) in schedule)
        missed = line.pipeline.outbox.ledger.missed
        for cause in set(expected_missed) | {Cause.LOST}:
            counted = sum(count for (_, name), count in missed.items() if name == cause)
            assert counted == expected_missed[cause], cause
    check_numbers(line.events)
    assert check_coverage(line.events) == sent


@pytest.mark.parametrize("seed", range(3))
def test_overload_is_counted_and_the_identity_holds(seed: int) -> None:
    """A camera faster than the engine loses frames at the door, and every one is reported."""
    generator = random.Random(seed)
    with fake_line(
        FakeBehaviour(delay_ms=4), pattern="sub", queue_frames=generator.randint(1, 50)
    ) as line:
        seq = 0
        while not line.accounted("top", "s", 600):
            line.camera.send("top", "s", seq)
            seq += 1
            if seq > 600:  # a burst of 600; then slowly, until one comes through
                line.wait(lambda: True)
                time.sleep(0.005)
    check_numbers(line.events)
    ((first, last),) = check_coverage(line.events).values()
    status = line.pipeline.outbox.ledger.statuses()["top"]
    assert status.inspected + sum(status.missed.values()) == last - first + 1
    assert status.missed[Cause.OVERLOAD] > 0


def test_pull_leaves_frames_with_the_camera_instead_of_dropping() -> None:
    """Back-pressure: a slow engine loses nothing on PULL."""
    with fake_line(FakeBehaviour(delay_ms=2), batch=Batch(rows=2)) as line:
        for seq in range(300):
            line.camera.send("top", "s", seq)
        line.wait_for_frame("top", "s", 299)
        status = line.pipeline.outbox.ledger.statuses()["top"]
    assert (status.inspected, status.missed) == (300, {})


def test_a_painted_defect_comes_out_where_it_was_painted() -> None:
    """Mask, box, area, centroid, score and millimetres of a known defect."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2:5, 10:14] = 253  # class 2
    with fake_line(mm=(2.0, 0.5)) as line:
        line.camera.send("top", "s", 0, pixels, strip="coil-7", line=100)
        line.wait(lambda: any(isinstance(event, Defect) for event in line.events))
    (defect,) = [event for event in line.events if isinstance(event, Defect)]
    assert (defect.class_id, defect.class_name) == (2, "kind2")
    assert defect.bbox_px == (10, 2, 4, 3)
    assert defect.area_px == 12
    assert defect.centroid_px == (11.5, 3.0)
    assert defect.position.downweb_mm == (100 + 3.5) * 2.0
    assert defect.position.crossweb_mm == 12 * 0.5
    assert defect.size_mm == (2.0, 6.0)
    assert defect.area_mm2 == 12.0
    assert defect.score == pytest.approx(0.8)
    assert np.array_equal(decode_severstal(defect.rle, (8, 32)), pixels == 253)


def test_strips_open_and_close_with_a_report() -> None:
    """strip_start, then the strip's defects, then strip_end with frames, metres and defects."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[0, 0] = 252
    with fake_line(mm=(100.0, 1.0), batch=Batch(rows=1)) as line:
        line.camera.send("top", "s", 0, strip="a", line=0)
        line.camera.send("top", "s", 1, pixels, strip="a", line=8)
        line.camera.send("top", "s", 4, strip="a", line=32, end=True)
        line.camera.send("top", "s", 5, strip="b", line=0)
        line.wait_for_frame("top", "s", 5)
    kinds = [
        (type(event).__name__, event.strip)
        for event in line.events
        if isinstance(event, Defect | Gap | StripStart | StripEnd)
    ]
    assert kinds == [
        ("StripStart", "a"),
        ("Defect", "a"),
        ("Gap", "a"),
        ("StripEnd", "a"),
        ("StripStart", "b"),
    ]
    (report,) = [event for event in line.events if isinstance(event, StripEnd)]
    assert (report.frames_inspected, report.frames_missed) == (3, {Cause.LOST: 2})
    assert (report.metres_inspected, report.metres_missed) == (2.4, {Cause.LOST: 1.6})
    assert report.defects == {"kind1": 1}
    (gap,) = [event for event in line.events if isinstance(event, Gap)]
    assert gap.downweb_mm == (1600.0, 3200.0)


def test_pieces_across_a_seam_share_one_name() -> None:
    """A defect over three frames is three events with one `part_of`; its neighbour has another."""
    upper, middle, lower = (np.zeros((8, 32), np.uint8) for _ in range(3))
    upper[6:, 4:6] = 254
    middle[:, 5:8] = 254
    lower[:2, 8:10] = 254  # touches by a corner
    lower[:2, 20:22] = 254
    with fake_line() as line:
        for seq, pixels in enumerate((upper, middle, lower)):
            line.camera.send("top", "s", seq, pixels)
        line.wait_for_frame("top", "s", 2)
    defects = [event for event in line.events if isinstance(event, Defect)]
    names = {(event.frame_seq, event.bbox_px[0]): event.part_of for event in defects}
    assert len(defects) == 4
    assert names[0, 4] == names[1, 5] == names[2, 8] != names[2, 20]
    (whole,) = [event for event in line.events if isinstance(event, DefectClosed)]
    assert (whole.part_of, whole.pieces, whole.area_px) == (names[0, 4], 3, 4 + 24 + 4)
    assert [event.is_whole for event in defects] == [False, False, False, True]


def test_a_short_frame_is_padded_and_its_mask_cropped() -> None:
    """A strip's last frame may have fewer lines; what lay in the slot before does not show."""
    full = np.full((8, 32), 252, np.uint8)
    with fake_line(batch=Batch(rows=1)) as line:
        for seq in range(8):
            line.camera.send("top", "s", seq, full)
        line.camera.send("top", "s", 8, full[:3], line=0)
        line.wait_for_frame("top", "s", 8)
    last = [event for event in line.events if isinstance(event, Defect)][-1]
    assert (last.frame_seq, last.frame_shape, last.area_px) == (8, (3, 32), 96)


def test_images_are_published_while_somebody_wants_them() -> None:
    """The frame of a defect follows its events as a frame message with a JPEG."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[4, 4] = 252
    with fake_line() as line:
        line.camera.send("top", "s", 0, pixels)
        line.camera.send("top", "s", 1)
        line.wait_for_frame("top", "s", 1)
    assert [parts[0] for parts in line.images] == [b"image.top"]
    assert line.images[0][2][:2] == b"\xff\xd8"


def test_status_tells_rates_drops_and_latency() -> None:
    """A status carries every stage's percentiles and the counts by cause."""
    with fake_line() as line:
        line.camera.send("top", "s", 0)
        line.camera.send("nobody", "s", 0)
        line.camera.send("top", "s", 0)

        def told() -> bool:
            status = line.pipeline.telemetry.latest
            return bool(status and status.drops.get(Cause.LATE))

        line.wait(told)
    statuses = [event for event in line.events if isinstance(event, Status)]
    drops = statuses[-1].drops
    assert (drops[Cause.UNKNOWN_CAMERA], drops[Cause.LATE]) == (1, 1)
    stages = next(status.latency_ms for status in statuses if status.latency_ms)
    assert set(stages) == {
        "receive_wait",
        "batch_wait",
        "engine",
        "inspect",
        "publish",
        "total",
    }
    assert all(row["p50"] <= row["p99"] <= row["max"] for row in stages.values())


def test_faults_beyond_the_limit_end_the_engine_thread() -> None:
    """A device that fails every time is given up after `rebuilds_max`."""
    with fake_line(FakeBehaviour(fail_every=1), rebuilds_max=2, batch=Batch(rows=1)) as line:
        seq = 0
        while line.pipeline.failure is None:
            line.camera.send("top", "s", seq)
            line.wait_for_frame("top", "s", seq)
            seq += 1
    assert isinstance(line.pipeline.failure, DeviceError)
    assert "3 faults in a row" in str(line.pipeline.failure)
    assert check_coverage(line.events) == {("top", "s"): (0, seq - 1)}
