"""The real pipeline and peers that send what no camera should; every frame is accounted for."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import zmq
from PIL import Image
from tests.line.test_pipeline import check_coverage, check_numbers

from stripwatch.config.sections import Batch
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.inspect.sequence import JUMP_MAX
from stripwatch.net.sockets import PARTS_MAX
from stripwatch.testing import FakeLine, fake_line
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, FrameResult, Gap, State, Status
from stripwatch.wire.frame import FrameHeader, build_frame
from stripwatch.wire.names import COUNT_MAX

SHAPE = (8, 32)


def send_image(line: FakeLine, seq: int, payload: bytes, codec: str = "png") -> None:
    header = FrameHeader(
        v=1,
        camera="top",
        session="s",
        seq=seq,
        t_ns=time.time_ns(),
        shape=SHAPE,
        dtype="u8",
        codec=codec,  # type: ignore[arg-type]
    )
    line.camera.socket.send_multipart(build_frame(header, payload))


def png_of(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full(SHAPE, grey, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def wait_for_status(line: FakeLine, holds: Callable[[Status], bool]) -> Status:
    def latest() -> Status | None:
        return line.pipeline.telemetry.latest

    line.wait(lambda: (status := latest()) is not None and holds(status))
    status = latest()
    assert status is not None
    return status


def whys(status: Status) -> set[str]:
    """The words of a status's reasons."""
    return {reason.why for reason in status.reasons}


@pytest.mark.parametrize("seed", range(3))
def test_images_good_and_bad_come_out_in_order(seed: int) -> None:
    """A bad image is a gap in its place; the frames around it are inspected with their pixels."""
    random = np.random.default_rng(seed)
    bad = {int(seq) for seq in random.choice(200, 40, replace=False)}
    raw = {int(seq) for seq in random.choice(200, 60, replace=False)} - bad
    with fake_line(batch=Batch(rows=4, wait_ms=5)) as line:
        for seq in range(200):
            if seq in raw:
                line.camera.send("top", "s", seq, np.full(SHAPE, 252 + seq % 4, np.uint8))
            else:
                image = png_of(252 + seq % 4)
                send_image(line, seq, image[: 50 if seq in bad else None])
        line.wait_for_frame("top", "s", 199)
    check_numbers(line.events)
    assert check_coverage(line.events) == {("top", "s"): (0, 199)}
    classes = {
        event.frame_seq: event.class_id for event in line.events if isinstance(event, Defect)
    }
    assert classes == {seq: 1 + seq % 4 for seq in range(200) if seq not in bad}
    gaps = [event for event in line.events if isinstance(event, Gap)]
    assert sum(gap.count for gap in gaps) == len(bad)
    assert {gap.cause for gap in gaps} == {Cause.BAD_CODEC}


def test_a_line_of_images_that_is_too_fast_is_overload() -> None:
    """The decode threads are the bottleneck, and the loss has its right name."""
    noise = np.random.default_rng(1).integers(0, 250, (256, 1600), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    with fake_line(
        FakeBehaviour(read_pixels=False), pattern="sub", queue_frames=50, frame_shape=noise.shape
    ) as line:
        seq = 0
        while not line.pipeline.outbox.ledger.missed["top", Cause.OVERLOAD]:
            for _ in range(50):
                header = FrameHeader(
                    v=1,
                    camera="top",
                    session="s",
                    seq=seq,
                    t_ns=time.time_ns(),
                    shape=noise.shape,
                    dtype="u8",
                    codec="png",
                )
                line.camera.socket.send_multipart(build_frame(header, buffer.getvalue()))
                seq += 1
            line.wait(lambda: True)
        status = wait_for_status(line, lambda status: "overload" in whys(status))
        assert status.state is State.DEGRADED
        assert status.cameras["top"].missed.get(Cause.LOST, 0) == 0
    check_coverage(line.events)


def test_frames_that_overflow_the_queue_are_overload_on_sub() -> None:
    """The receive thread is held up; what ZeroMQ dropped meanwhile was not lost by the network."""
    with fake_line(pattern="sub", queue_frames=20, batch=Batch(rows=2, wait_ms=5)) as line:
        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        hold, held = threading.Event(), threading.Event()
        receiver = line.pipeline.receiver
        queue_is_empty = receiver.arrivals.queue_is_empty

        def wait_there(endpoint: str) -> None:
            held.set()
            hold.wait(20)
            queue_is_empty(endpoint)

        receiver.arrivals.queue_is_empty = wait_there  # type: ignore[method-assign]
        assert held.wait(20)
        line.camera.socket.set_hwm(20)
        for seq in range(1, 60_000):
            line.camera.send("top", "s", seq)
        hold.set()
        seq = 60_000
        while not line.pipeline.outbox.ledger.missed["top", Cause.OVERLOAD]:
            line.camera.send("top", "s", seq)
            seq += 1
            line.wait(lambda: True)
            time.sleep(0.01)
        assert line.pipeline.outbox.ledger.missed["top", Cause.LOST] == 0
    check_coverage(line.events)


def test_one_message_does_not_silence_a_camera() -> None:
    """Another session, and a number beyond all others: the camera is inspected as before."""
    with fake_line() as line:
        for seq in range(50):
            line.camera.send("top", "s", seq)
        line.camera.send("top", "rogue", 0)
        line.camera.send("top", "s", COUNT_MAX)
        for seq in range(50, 300):
            line.camera.send("top", "s", seq)
        line.wait_for_frame("top", "s", 299)
        status = wait_for_status(line, lambda status: bool(status.drops))
        assert status.cameras["top"].stray == 1
        assert status.drops == {Cause.STRAY: 1}
    results = [event for event in line.events if isinstance(event, FrameResult)]
    assert len(results) == 301
    assert check_coverage(line.events) == {("top", "s"): (0, 299), ("top", "rogue"): (0, 0)}


def test_two_senders_under_one_name_are_named_in_state_and_events() -> None:
    """Every frame of both is inspected, or in a gap with a cause of its own."""
    with fake_line() as line:
        for seq in range(300):
            line.camera.send("top", "first", seq, strip="a", line=8 * seq)
            line.camera.send("top", "second", seq, strip="b", line=8 * seq)
        status = wait_for_status(line, lambda status: "second_sender" in whys(status))
        assert status.state is State.DEGRADED
        assert status.cameras["top"].second_sender == "second"
        line.wait(lambda: line.accounted("top", "second", 299))
    check_numbers(line.events)
    ends = {("top", "first"): (0, 299), ("top", "second"): (0, 299)}
    assert check_coverage(line.events) == ends
    gaps = [event for event in line.events if isinstance(event, Gap)]
    assert {(gap.session, gap.cause) for gap in gaps} == {("second", Cause.SECOND_SENDER)}
    assert sum(gap.count for gap in gaps) > 200


def test_counts_stay_within_the_schema() -> None:
    """The sum of all lost frames may exceed what JSON readers keep exactly."""
    with fake_line() as line:
        for number in range(5):
            for seq in (0, COUNT_MAX - JUMP_MAX, COUNT_MAX - 1):
                line.camera.send("top", f"s{number}", seq)
        line.wait_for_frame("top", "s4", COUNT_MAX - 1)
        wait_for_status(line, lambda status: status.drops.get(Cause.LOST) == COUNT_MAX)
    assert any(isinstance(event, Status) and event.drops for event in line.events)  # it parses


@pytest.mark.parametrize("pattern", ["sub", "pull"])
def test_a_message_of_endless_parts_costs_its_connection(pattern: str) -> None:
    """The socket is opened anew, with its sender's connection gone, and frames come in again."""
    with fake_line(pattern=pattern) as line:  # type: ignore[arg-type]
        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        for parts in (PARTS_MAX, 20 * PARTS_MAX):
            line.camera.socket.send_multipart([b"frame.top"] + [b""] * parts)
        seq = 1
        while not line.accounted("top", "s", 10):
            line.camera.send("top", "s", seq)
            seq += 1
            line.wait(lambda: True)
            time.sleep(0.02)
        assert line.pipeline.receiver.arrivals.rejected[Cause.BAD_PARTS] == 1
    check_coverage(line.events)


def test_a_peer_that_floods_the_event_port_does_not_stop_delivery() -> None:
    """Events and status go on while it sends as fast as it can."""
    with fake_line() as line:
        stop = threading.Event()
        context = zmq.Context()

        def flood() -> None:
            peer = context.socket(zmq.XSUB)
            peer.set_hwm(1000)
            peer.connect(line.events_endpoint)
            while not stop.is_set():
                for _ in range(500):
                    peer.send(b"\x07", zmq.NOBLOCK)
                stop.wait(0.001)
            peer.close(0)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for seq in range(100):
                line.camera.send("top", "s", seq)
                line.wait_for_frame("top", "s", seq)
        finally:
            stop.set()
            thread.join()
            context.destroy(0)
        assert line.pipeline.outbox.ledger.inspected == 100


def test_the_image_of_the_first_frame_reaches_a_new_subscriber() -> None:
    """Its subscription counts before the frame's images are sent."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[2, 3] = 252
    with fake_line() as line:
        context = zmq.Context()
        watcher = context.socket(zmq.SUB)
        watcher.subscribe(b"image.top")
        watcher.connect(line.events_endpoint)
        line.wait(lambda: line.pipeline.publisher.subscriptions > 1)
        line.camera.send("top", "s", 0, pixels)
        assert watcher.poll(20_000)
        context.destroy(0)


def test_a_wrong_clock_becomes_a_warning_and_no_latency() -> None:
    """Milliseconds for nanoseconds, and an hour ahead."""
    with fake_line() as line:
        line.camera.send("top", "s", 0, t_ns=time.time_ns() // 1_000_000)
        line.camera.send("bottom", "s", 0, t_ns=time.time_ns() + 3_600_000_000_000)
        line.wait_for_frame("top", "s", 0)
        line.wait_for_frame("bottom", "s", 0)
        assert line.pipeline.receiver.arrivals.remarks == {
            ("top", Cause.BAD_CLOCK): 1,
            ("bottom", Cause.BAD_CLOCK): 1,
        }
        line.wait(lambda: any(isinstance(e, Status) and e.latency_ms for e in line.events))
    status = next(e for e in line.events if isinstance(e, Status) and e.latency_ms)
    assert set(status.latency_ms) == {"batch_wait", "engine", "inspect", "publish"}
    assert status.drops == {}


def test_a_fault_in_an_optional_key_does_not_cost_the_frame() -> None:
    with fake_line() as line:
        for seq in range(5):
            line.camera.send("top", "s", seq, strip="", line=-1)
        line.wait_for_frame("top", "s", 4)
        assert line.pipeline.receiver.arrivals.remarks == {("top", Cause.BAD_OPTION): 5}
        assert line.pipeline.outbox.ledger.inspected == 5


def test_a_failing_deliver_thread_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread waits for slots that will not come back."""

    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    with fake_line() as line:
        monkeypatch.setattr(line.pipeline.deliverer, "_inspect", broken)
        for seq in range(100):
            line.camera.send("top", "s", seq)
        line.wait(lambda: line.pipeline.failure is not None)
        line.pipeline.stop()
        assert line.pipeline.join(20)
        assert str(line.pipeline.failure) == "broken on purpose"
