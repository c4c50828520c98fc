"""The outbox under a steady stream of events: time from inspection to a subscriber.

The real outbox, journal and event socket; a thread hands over slots at a rate, as the deliver
thread does, and a process of its own subscribes. Its clock is that of the sender: one machine.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import zmq

from stripwatch.config.sections import PicturesSection, Publish
from stripwatch.errors import DeviceError
from stripwatch.inspect.coverage import Row
from stripwatch.journal.retention import Limits
from stripwatch.journal.store import Journal
from stripwatch.lab.bench.batches import percentiles
from stripwatch.lab.bench.figures import Figures, goal_row
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.bench.journal_questions import large_journal
from stripwatch.net.sockets import open_socket
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.batches import Batch
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.outbox import Outbox
from stripwatch.wire.event import (
    EVENT_BYTES_MAX,
    NO_SEQ,
    NO_STREAM,
    DaemonStart,
    DaemonStop,
    Defect,
    Position,
)
from stripwatch.wire.frame import FrameHeader

EVENTS_PER_S = 10_000
ROWS = 4  # frames in a slot
EVENTS_PER_FRAME = 3
P99_MS_MAX = 25.0  # goal, from inspection to publishing
RATE_SHARE_MIN = 0.99  # of the rate, that the journal must keep
SETTLE_S = 2.0  # left out at the beginning
SUBSCRIBE_S_MAX = 60.0
QUEUE_EVENTS = 1_000_000  # of the subscriber: what it misses is a fault of the bench
KEEP_ALL = Limits(1e15, 1e18, 1e15)
KEEP_LITTLE = Limits(10e6, 1e18, 10e6)  # full after a second: from then on as much is removed

Reading = dict[str, float | str]


def journal(setup: BenchSetup, large_events: int) -> Figures:
    """Latency at `EVENTS_PER_S`, without and with removal of old events, and a large journal."""
    modes = [
        {"removal": removal, **_read(setup, limits)}
        for removal, limits in (("no", KEEP_ALL), ("yes", KEEP_LITTLE))
    ]
    large, large_goals = large_journal(large_events)
    return {**large, "modes": modes, "goals": [*map(_goal, modes), *large_goals]}


def _goal(mode: Reading) -> Figures:
    rate, p99_ms = float(mode["events_per_s"]), float(mode["p99_ms"])
    return goal_row(
        ROWS,
        f"{EVENTS_PER_S} events/s, removal: {mode['removal']}",
        f"p99 <= {P99_MS_MAX:g} ms",
        f"{p99_ms} ms, {rate:g} events/s",
        met=p99_ms <= P99_MS_MAX and rate >= RATE_SHARE_MIN * EVENTS_PER_S,
    )


def _read(setup: BenchSetup, limits: Limits) -> Reading:
    with (
        tempfile.TemporaryDirectory(prefix="stripwatch-") as folder,
        closing(Journal(Path(folder))) as journal,
        _publisher(setup.events_at) as publisher,
        _subscriber(setup.events_at) as answer,
    ):
        until_s = time.monotonic() + SUBSCRIBE_S_MAX
        while not publisher.subscriptions:
            if time.monotonic() > until_s:
                raise DeviceError("the subscriber's process did not start")
            publisher.read_subscriptions()
            time.sleep(0.01)
        outbox = Outbox(
            journal,
            journal.past(),
            publisher,
            Images(),
            Pictures(PicturesSection(crops=False), Path(folder)),
            limits,
            Heartbeat(),
        )
        start = DaemonStart(stream=NO_STREAM, seq=NO_SEQ, t_ns=0, version="", model="", config="")
        stop = DaemonStop(stream=NO_STREAM, seq=NO_SEQ, t_ns=0, reason="stopped", detail="")
        thread = threading.Thread(target=outbox.run, args=(start, lambda: stop, lambda: None))
        thread.start()
        offered = _feed(outbox, setup)
        thread.join()
        received: Reading = answer.recv()
        extent = journal.extent()
    return {
        **offered,
        **received,
        "kept": extent.events,
        "bytes_each": round(extent.used_bytes / extent.events),
    }


def _feed(outbox: Outbox, setup: BenchSetup) -> Reading:
    """Hand over a slot after the other at the rate.

    Returns events a second, and how late the sender woke: what this machine adds by itself.
    """
    period_s = ROWS * EVENTS_PER_FRAME / EVENTS_PER_S
    slots = int((SETTLE_S + setup.seconds) / period_s)
    defect, header = _defect(), _header(setup)
    late_ms: list[float] = []
    started_s = time.monotonic()
    for slot in range(slots):
        due_s = started_s + slot * period_s
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
            late_ms.append((time.monotonic() - due_s) * 1000)
        t_ns = time.time_ns()
        frames = range(slot * ROWS, (slot + 1) * ROWS)
        outputs = [
            msgspec.structs.replace(defect, frame_seq=frame, t_ns=t_ns)
            for frame in frames
            for _ in range(EVENTS_PER_FRAME)
        ]
        rows = [Row(msgspec.structs.replace(header, seq=frame), 0, 0, None) for frame in frames]
        outbox.put(Batch(outputs, rows, inspected_ns=time.monotonic_ns()), lambda: None)
    outbox.close()
    rate = slots * ROWS * EVENTS_PER_FRAME / (time.monotonic() - started_s)
    return {"offered": round(rate), "late_p99_ms": round(percentiles(late_ms)["p99"], 1)}


@contextmanager
def _publisher(endpoint: str) -> Iterator[Publisher]:
    context = zmq.Context()
    publisher = Publisher(context, Publish(endpoint=endpoint, queue_events=QUEUE_EVENTS), [])
    try:
        yield publisher
    finally:
        publisher.close(0)
        context.term()


@contextmanager
def _subscriber(endpoint: str) -> Iterator[Connection]:
    spawn = multiprocessing.get_context("spawn")
    mine, its = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_subscribe, args=(endpoint, its), daemon=True)
    process.start()
    try:
        yield mine
    finally:
        process.terminate()
        process.join()


class _Event(msgspec.Struct):
    """What the subscriber looks at."""

    type: str
    seq: int
    t_ns: int


def _subscribe(endpoint: str, answer: Connection) -> None:
    """Receive until `daemon_stop`; answer with the rate, p50, p99, max in ms, and what missed."""
    socket = open_socket(
        zmq.Context(),
        "sub",
        endpoint,
        attach="connect",
        queue=QUEUE_EVENTS,
        message_bytes_max=EVENT_BYTES_MAX,
    )
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    decode = msgspec.json.Decoder(_Event).decode
    taken_ms: list[float] = []
    begin_ns = first_ns = last_ns = missing = 0
    expected = 1
    while True:
        event = decode(socket.recv_multipart()[1])
        now_ns = time.time_ns()
        missing += event.seq - expected
        expected = event.seq + 1
        if event.type == "daemon_stop":
            break
        begin_ns = begin_ns or now_ns
        if event.type == "defect" and now_ns - begin_ns > SETTLE_S * 1e9:
            first_ns, last_ns = first_ns or now_ns, now_ns
            taken_ms.append((now_ns - event.t_ns) / 1e6)
    figures = {f"{name}_ms": round(value, 1) for name, value in percentiles(taken_ms).items()}
    rate = round(len(taken_ms) / ((last_ns - first_ns) / 1e9))
    answer.send({"events_per_s": rate, **figures, "missing": missing})


def _header(setup: BenchSetup) -> FrameHeader:
    return FrameHeader(
        v=1,
        camera="bench",
        session="bench",
        seq=0,
        t_ns=0,
        shape=setup.frame_shape,
        dtype="u8",
        codec="raw",
    )


def _defect() -> Defect:
    """A defect with a mask of a typical length: 1 kB as JSON."""
    return Defect(
        stream=NO_STREAM,
        seq=NO_SEQ,
        camera="bench",
        strip="bench-1",
        session="bench",
        frame_seq=0,
        t_ns=0,
        class_id=1,
        class_name="pits",
        score=0.9,
        peak=0.99,
        area_px=400,
        bbox_px=(100, 50, 20, 20),
        centroid_px=(110.0, 60.0),
        position=Position(downweb_mm=1000.0, crossweb_mm=62.5),
        size_mm=(12.5, 10.0),
        area_mm2=125.0,
        frame_shape=(256, 1600),
        rle=" ".join(f"{50 + 256 * column} 20" for column in range(100, 120)),
        rle_coco="0" * 60,
        part_of="bench-bench-0-0",
        model="0" * 64,
    )
