"""The receive thread: frames from the cameras' sockets straight into the open slot's next row."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence

import zmq

from stripwatch.config import Config
from stripwatch.inspect.coverage import Entry, Miss, Row, SequenceTracker, add_miss, miss_of
from stripwatch.net.inputs import FrameInput, close_inputs, open_inputs
from stripwatch.net.sockets import Context, Socket
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.overload import Overload
from stripwatch.stages.slots import Slot, SlotRing
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import (
    BadFrame,
    FrameHeader,
    FrameId,
    check_raw_length,
    check_shape,
    decode_image,
    parse_header,
    payload_bytes_max,
)

POLL_MS = 100  # longest wait for a message, so that a stop is seen
CROWDED_POLL_MS = 2  # while the engine is behind: look this often whether it has caught up
BURST_MESSAGES = 64  # from one socket before the others get their turn
ENTRIES_MAX = 1024  # in one slot: a stream of misses closes it, too
PENDING_MISSES_MAX = 1024  # without a slot to carry them; then nothing more is read
FAULT_CHARACTERS_MAX = 200  # of a peer's mistake, in the log


class Receiver:
    """Owns the input sockets, the frame numbers, and the slot that is being filled."""

    def __init__(
        self, config: Config, ring: SlotRing, context: Context, heartbeat: Heartbeat
    ) -> None:
        """Open the input sockets.

        Raises:
            AddressError: an endpoint cannot be bound or connected.
        """
        self._ring = ring
        self._heartbeat = heartbeat
        self._frame_shape = config.line.frame_shape
        self._batch_wait_ms = config.batch.wait_ms
        self._trackers = {camera.name: SequenceTracker() for camera in config.cameras}
        self._slot: Slot | None = None
        self._overload = Overload()
        self._pending: list[Entry] = []  # misses that wait for a slot to carry them
        self.rejected: Counter[Cause] = Counter()  # messages outside the coverage identity
        self.last_faults: dict[Cause, tuple[str, str]] = {}  # endpoint and detail, by cause
        self._inputs = open_inputs(context, config.inputs, payload_bytes_max(self._frame_shape))

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set; then close the inputs and hand on the open slot."""
        while not stop.is_set():
            self._heartbeat.beat()
            self._step()
        self.close()
        self._flush()
        self._ring.close_ready()

    def close(self) -> None:
        """Close the sockets."""
        close_inputs(self._inputs)
        self._inputs = ()

    def _step(self) -> None:
        """Wait for messages or for the slot's time to run out, whichever comes first."""
        inputs = [entry for entry in self._inputs if self._may_read(entry)]
        if not inputs:
            # Where every input waits there is nothing to look after until a slot comes.
            wait_ms = POLL_MS if all(entry.waits for entry in self._inputs) else CROWDED_POLL_MS
            self._take_slot(self._ring.open(timeout_s=wait_ms / 1000))
            return
        for frame_input in self._readable(inputs, self._poll_ms()):
            for _ in range(BURST_MESSAGES):
                if not self._may_read(frame_input):
                    break
                try:
                    topic = frame_input.socket.recv(zmq.NOBLOCK)
                except zmq.Again:
                    self._overload.queue_is_empty(frame_input.endpoint)
                    break
                self._receive(frame_input, topic)
                self._close_if_due()
        self._close_if_due()

    def _readable(self, inputs: Sequence[FrameInput], timeout_ms: int) -> list[FrameInput]:
        """The inputs with a message, waiting up to `timeout_ms` for the first; others are empty."""
        poller = zmq.Poller()
        for entry in inputs:
            poller.register(entry.socket, zmq.POLLIN)
        ready = {socket for socket, _ in poller.poll(timeout_ms)}
        for entry in inputs:
            if entry.socket not in ready:
                self._overload.queue_is_empty(entry.endpoint)
        return [entry for entry in inputs if entry.socket in ready]

    def _may_read(self, frame_input: FrameInput) -> bool:
        """Whether a frame of this input has a slot, or is to be dropped now."""
        if self._open_slot() is not None:
            return True
        must_drop = self._overload.must_drop(frame_input.endpoint, time.monotonic_ns())
        can_drop = not frame_input.waits and len(self._pending) < PENDING_MISSES_MAX
        return can_drop and must_drop

    def _receive(self, frame_input: FrameInput, topic: bytes) -> None:
        """Take the rest of one message; whatever is wrong with it, the next is not harmed."""
        try:
            header = parse_header(topic, _header_part(frame_input.socket))
        except BadFrame as error:
            self._refuse(error, frame_input)
        else:
            if self._arrives(header, frame_input):
                try:
                    self._fill(header, frame_input)
                except BadFrame as error:
                    self._last_fault(error.cause, frame_input, error.detail)
                    self._miss(miss_of(header, error.cause))
        while frame_input.socket.getsockopt(zmq.RCVMORE):
            frame_input.socket.recv_into(bytearray())  # discards the part

    def _arrives(self, frame: FrameHeader | FrameId, frame_input: FrameInput) -> bool:
        """Book a frame's arrival and what was lost before it; False: it is not to be inspected."""
        tracker = self._trackers.get(frame.camera)
        if tracker is None:
            self._reject(Cause.UNKNOWN_CAMERA, frame_input, repr(frame.camera))
            return False
        if tracker.is_late(frame):
            self._reject(
                Cause.LATE, frame_input, f"{frame.camera} {frame.session} frame {frame.seq}"
            )
            return False
        lost = tracker.accept(frame)
        if lost is not None:
            self._miss(lost)
        return True

    def _fill(self, header: FrameHeader, frame_input: FrameInput) -> None:
        """Put a frame's pixels into the open slot's next row.

        Raises:
            BadFrame: the payload is not what the header says; the row stays free.
        """
        slot = self._open_slot()
        if slot is None:
            self._overload.frame_dropped(time.monotonic_ns())
            self._miss(miss_of(header, Cause.OVERLOAD))
            return
        check_shape(header, self._frame_shape)
        if not frame_input.socket.getsockopt(zmq.RCVMORE):
            raise BadFrame(Cause.BAD_PARTS, "the payload is missing", header)
        lines = header.shape[0]
        row = slot.frames[slot.rows]
        if header.codec == "raw":
            length = frame_input.socket.recv_into(row[:lines].reshape(-1))
            check_raw_length(header, length)
        else:
            row[:lines] = decode_image(header, frame_input.socket.recv())
        if frame_input.socket.getsockopt(zmq.RCVMORE):
            raise BadFrame(Cause.BAD_PARTS, "more than three parts", header)
        row[lines:] = 0  # a short frame at the strip's end; what was there before must not show
        now_ns = time.monotonic_ns()
        receive_ms = (time.time_ns() - header.t_ns) / 1e6
        slot.opened_ns = slot.opened_ns or now_ns
        slot.entries.append(Row(header, slot.rows, now_ns, receive_ms))
        slot.rows += 1

    def _miss(self, miss: Miss) -> None:
        """Let a miss travel with the frames, so that events come out in order."""
        slot = self._open_slot()
        if slot is None:
            add_miss(self._pending, miss)
            return
        slot.opened_ns = slot.opened_ns or time.monotonic_ns()
        add_miss(slot.entries, miss)

    def _refuse(self, error: BadFrame, frame_input: FrameInput) -> None:
        """Book a message whose header breaks the protocol."""
        if error.frame is None:
            self._reject(error.cause, frame_input, error.detail)
        elif self._arrives(error.frame, frame_input):
            self._last_fault(error.cause, frame_input, error.detail)
            self._miss(miss_of(error.frame, error.cause))

    def _reject(self, cause: Cause, frame_input: FrameInput, detail: str) -> None:
        self.rejected[cause] += 1
        self._last_fault(cause, frame_input, detail)

    def _last_fault(self, cause: Cause, frame_input: FrameInput, detail: str) -> None:
        self.last_faults[cause] = (frame_input.endpoint, detail[:FAULT_CHARACTERS_MAX])

    def _open_slot(self) -> Slot | None:
        """The slot that is being filled; None while all are with the engine or delivery."""
        if self._slot is None:
            self._take_slot(self._ring.open())
        return self._slot

    def _take_slot(self, slot: Slot | None) -> None:
        self._slot = slot
        if slot is not None and self._pending:
            slot.entries.extend(self._pending)
            slot.opened_ns = time.monotonic_ns()
            self._pending.clear()

    def _due_ms(self) -> float:
        """Time until the open slot has to be closed."""
        if self._slot is None:
            return CROWDED_POLL_MS
        if not self._slot.entries:
            return POLL_MS
        if self._slot.rows == self._ring.rows or len(self._slot.entries) >= ENTRIES_MAX:
            return 0
        waited_ms = (time.monotonic_ns() - self._slot.opened_ns) / 1e6
        if waited_ms >= self._batch_wait_ms and self._ring.engine_is_behind():
            # Closed now it would only wait in the queue, half empty; so it continues to fill.
            return CROWDED_POLL_MS
        return self._batch_wait_ms - waited_ms

    def _poll_ms(self) -> int:
        return min(POLL_MS, max(0, math.ceil(self._due_ms())))

    def _close_if_due(self) -> None:
        if self._slot is not None and self._due_ms() <= 0:
            self._ring.close(self._slot)
            self._slot = None

    def _flush(self) -> None:
        """Hand on, or put back, the open slot; misses still pending wait for one."""
        while self._open_slot() is None:
            self._heartbeat.beat()
            self._take_slot(self._ring.open(timeout_s=POLL_MS / 1000))
        if self._slot is not None and self._slot.entries:
            self._ring.close(self._slot)
        elif self._slot is not None:
            self._ring.put_back(self._slot)
        self._slot = None


def _header_part(socket: Socket) -> bytes:
    """The second part of a message.

    Raises:
        BadFrame: there is none.
    """
    if not socket.getsockopt(zmq.RCVMORE):
        raise BadFrame(Cause.BAD_PARTS, "one part; expected topic, header, payload", None)
    return socket.recv()
