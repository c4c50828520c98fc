"""The receive thread: frames from the cameras' sockets straight into the open slot's next row."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence

import zmq

from stripwatch.config.sections import Config
from stripwatch.inspect.coverage import Entry, Miss, Row, add_miss, miss_of
from stripwatch.net.door import Door
from stripwatch.net.inputs import FrameInput, close_inputs, open_inputs
from stripwatch.net.sockets import PARTS_MAX, Context
from stripwatch.stages.arrivals import Arrivals
from stripwatch.stages.decode import CodedFrame, Decoders
from stripwatch.stages.follow import Follow
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
    payload_bytes_max,
    read_header,
)

POLL_MS = 100  # longest wait for a message, so that a stop is seen
CROWDED_POLL_MS = 2  # while the engine is behind: look this often whether it has caught up
BURST_MESSAGES = 64  # from one socket before the others get their turn
ENTRIES_MAX = 1024  # in one slot: a stream of misses closes it, too
PENDING_MISSES_MAX = 1024  # without a slot to carry them; then nothing more is read


class Receiver:
    """Owns the input sockets, the frame numbers, and the slot that is being filled."""

    def __init__(
        self,
        config: Config,
        ring: SlotRing,
        decoders: Decoders,
        context: Context,
        heartbeat: Heartbeat,
        storage_fails: Callable[[], bool],
        door: Door | None = None,
    ) -> None:
        """Open the input sockets; `storage_fails` tells why no slot is free.

        `door` decides who may send; None: nothing is encrypted.

        Raises:
            AddressError: an endpoint cannot be bound or connected.
        """
        self._ring = ring
        self._decoders = decoders
        self._heartbeat = heartbeat
        self._storage_fails = storage_fails
        self._frame_shape = config.line.frame_shape
        self._batch_wait_ms = config.batch.wait_ms
        self._slot: Slot | None = None
        self._overload = Overload()
        self._mailbox: queue.SimpleQueue[Follow] = queue.SimpleQueue()
        self._pending: list[Entry] = []  # misses that wait for a slot to carry them
        self.arrivals = Arrivals([camera.name for camera in config.cameras], self._overload)
        longest = payload_bytes_max(self._frame_shape)
        self._inputs = open_inputs(context, config.inputs, longest, door)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints of the inputs."""
        return tuple(entry.endpoint for entry in self._inputs)

    def fault_of(self, cause: Cause) -> tuple[str, str]:
        """Endpoint and detail of the latest fault of a cause, for the log."""
        found = self.arrivals.last_faults.get(cause) or self._decoders.last_faults.get(cause)
        return found or ("", "")

    def follow(self, change: Follow) -> None:
        """Any thread: take frames of other cameras from now on."""
        self._mailbox.put(change)

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set; then close the inputs and hand on the open slot."""
        try:
            while not stop.is_set():
                self._heartbeat.beat()
                self._follow()
                self._step()
            self.close()
            self._flush()
        finally:  # also where this thread fails: the others must see the end
            self.close()
            self._decoders.close()
            self._ring.close_ready()

    def close(self) -> None:
        """Close the sockets."""
        close_inputs(self._inputs)
        self._inputs = ()

    def _follow(self) -> None:
        """Take a change that was asked for, once there is a slot in which it can travel."""
        if self._mailbox.empty():
            return
        while (slot := self._open_slot()) is not None and slot.entries:
            self._hand_on(slot)
        if slot is not None:
            slot.change = self._mailbox.get()
            self.arrivals.follow(slot.change.cameras)
            self._hand_on(slot)

    def _hand_on(self, slot: Slot) -> None:
        self._ring.close(slot)
        self._slot = None

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
                    topic = frame_input.receive_topic()
                except zmq.Again:
                    self._queue_is_empty(frame_input)
                    break
                self._receive(frame_input, topic)
                self._close_if_due()
        self._close_if_due()

    def _readable(self, inputs: Sequence[FrameInput], timeout_ms: int) -> list[FrameInput]:
        """The inputs with a message, waiting up to `timeout_ms` for the first; others are empty."""
        poller = zmq.Poller()
        for entry in inputs:
            poller.register(entry.socket, zmq.POLLIN)
        started_ns = time.monotonic_ns()
        ready = {socket for socket, _ in poller.poll(timeout_ms)}
        # No more than asked for: a process that was stopped meanwhile has not waited.
        self.arrivals.waited(min(time.monotonic_ns() - started_ns, timeout_ms * 1_000_000))
        for entry in inputs:
            if entry.socket not in ready:
                self._queue_is_empty(entry)
        return [entry for entry in inputs if entry.socket in ready]

    def _queue_is_empty(self, frame_input: FrameInput) -> None:
        self._overload.queue_is_empty(frame_input.endpoint)
        self.arrivals.queue_is_empty(frame_input.endpoint)

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
            header, ignored = read_header(topic, frame_input.receive_header())
        except BadFrame as error:
            if error.frame is None:
                self.arrivals.reject(error.cause, frame_input, error.detail)
            else:
                self._arrive(error.frame, frame_input, error)
        else:
            if ignored:
                self.arrivals.remark(Cause.BAD_OPTION, header.camera, frame_input, ignored)
            self._arrive(header, frame_input)
        if not frame_input.discard_rest():
            self.arrivals.reject(Cause.BAD_PARTS, frame_input, f"more than {PARTS_MAX} parts")
            frame_input.reopen(self._heartbeat.beat)

    def _arrive(
        self, frame: FrameHeader | FrameId, frame_input: FrameInput, fault: BadFrame | None = None
    ) -> None:
        """Book a frame's arrival and what was lost before it; inspect it, or book it as missed."""
        arrival = self.arrivals.arrive(frame, frame_input)
        if arrival is None:
            return
        if arrival.lost is not None:
            self._miss(arrival.lost)
        if arrival.cause is not None:
            self._miss(miss_of(arrival.frame, arrival.cause))
        elif fault is not None or not isinstance(arrival.frame, FrameHeader):
            assert fault is not None
            self.arrivals.fault(fault.cause, frame_input, fault.detail)
            self._miss(miss_of(arrival.frame, fault.cause))
        else:
            try:
                self._fill(arrival.frame, frame_input)
            except BadFrame as error:
                self.arrivals.fault(error.cause, frame_input, error.detail)
                self._miss(miss_of(arrival.frame, error.cause))

    def _fill(self, header: FrameHeader, frame_input: FrameInput) -> None:
        """Put a frame's pixels into the open slot's next row.

        Raises:
            BadFrame: the payload is not what the header says; the row stays free.
        """
        slot = self._open_slot()
        if slot is None:
            self._overload.frame_dropped(time.monotonic_ns())
            cause = Cause.STORAGE_ERROR if self._storage_fails() else Cause.OVERLOAD
            self.arrivals.fault(cause, frame_input, "no slot was free")
            self._miss(miss_of(header, cause))
            return
        check_shape(header, self._frame_shape)
        if not frame_input.has_more():
            raise BadFrame(Cause.BAD_PARTS, "the payload is missing", header)
        lines = header.shape[0]
        row = slot.frames[slot.rows]
        payload = b""
        if header.codec == "raw":
            length = frame_input.socket.recv_into(row[:lines].reshape(-1))
            check_raw_length(header, length)
        else:
            payload = frame_input.socket.recv()
        if frame_input.has_more():
            raise BadFrame(Cause.BAD_PARTS, "more than three parts", header)
        row[lines:] = 0  # a short frame at the strip's end; what was there before must not show
        now_ns = time.monotonic_ns()
        receive_ms = self.arrivals.receive_ms(header, frame_input)
        slot.opened_ns = slot.opened_ns or now_ns
        slot.entries.append(Row(header, slot.rows, now_ns, receive_ms))
        slot.rows += 1
        if header.codec != "raw":
            entry = len(slot.entries) - 1
            self._decoders.add(CodedFrame(slot, entry, payload, frame_input.endpoint))

    def _miss(self, miss: Miss) -> None:
        """Let a miss travel with the frames, so that events come out in order."""
        slot = self._open_slot()
        if slot is None:
            add_miss(self._pending, miss)
            return
        slot.opened_ns = slot.opened_ns or time.monotonic_ns()
        add_miss(slot.entries, miss)

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
            self._hand_on(self._slot)

    def _flush(self) -> None:
        """Hand on, or put back, the open slot; misses still pending wait for one."""
        while self._open_slot() is None:
            if self._ring.broken:
                return
            self._heartbeat.beat()
            self._take_slot(self._ring.open(timeout_s=POLL_MS / 1000))
        if self._slot is not None and self._slot.entries:
            self._ring.close(self._slot)
        elif self._slot is not None:
            self._ring.put_back(self._slot)
        self._slot = None
