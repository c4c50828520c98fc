"""Receives frames at the daemon's inputs and records them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import zmq

from stripwatch.config.sections import Input
from stripwatch.config.security import Security
from stripwatch.inspect.sequence import SequenceTracker
from stripwatch.net.door import open_door
from stripwatch.net.inputs import FRAME_PARTS, FrameInput, close_inputs, open_inputs
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import (
    BadFrame,
    FrameHeader,
    check_raw_length,
    check_shape,
    parse_header,
    payload_bytes_max,
)

FRAME_BYTES_MAX = 64 * 1024 * 1024  # where no configuration gives the line's geometry
CAMERAS_MAX = 64  # limit on camera names taken from the network
BURST_MESSAGES = 64  # read from one socket before the next socket
FAULT_CHARACTERS_MAX = 200  # of a peer's fault, in the summary
FLUSH_PERIOD_S = 1.0  # frames older than this have been handed to the operating system


class Recorder:
    """Owns the input sockets and counts the frames received."""

    def __init__(
        self,
        inputs: Sequence[Input],
        *,
        cameras: Sequence[str] = (),
        frame_shape: tuple[int, int] | None = None,
        security: Security | None = None,
    ) -> None:
        """Open the input sockets.

        Args:
            inputs: where frames arrive.
            cameras: the only ones to record; none = all, up to `CAMERAS_MAX`.
            frame_shape: lines, pixels of the line's frames; None = any.
            security: of the daemon in whose place frames are received; None: no encryption.

        Raises:
            AddressError: an endpoint cannot be bound or connected.
            ConfigError: the daemon's key or the allow-list cannot be used.
        """
        self._cameras = frozenset(cameras)
        self._frame_shape = frame_shape
        self._trackers: dict[str, SequenceTracker] = {}
        self._flush_due_s = time.monotonic() + FLUSH_PERIOD_S
        self.frames: Counter[str] = Counter()  # recorded, by camera
        self.lost: Counter[str] = Counter()  # frame numbers skipped, by camera
        self.rejected: Counter[Cause] = Counter()  # messages not recorded
        self.last_faults: dict[Cause, str] = {}
        limit = payload_bytes_max(frame_shape) if frame_shape else FRAME_BYTES_MAX
        self._context = zmq.Context()
        try:
            self._door = open_door(self._context, security) if security else None
            self._inputs = open_inputs(self._context, inputs, limit, self._door)
        except Exception:
            self._context.destroy(linger=0)
            raise
        if self._door:
            self._door.start(_no_beat)
        self._poller = zmq.Poller()
        for entry in self._inputs:
            self._poller.register(entry.socket, zmq.POLLIN)

    def step(self, writer: RecordingWriter, timeout_ms: int, frames_max: int | None = None) -> None:
        """Write the frames that have arrived, waiting up to `timeout_ms` for the first message.

        At most `frames_max` messages are taken.

        Raises:
            StorageError: the file cannot be written.
        """
        readable = dict(self._poller.poll(timeout_ms))
        left = BURST_MESSAGES * len(self._inputs) if frames_max is None else frames_max
        for entry in self._inputs:
            burst = min(BURST_MESSAGES, left) if entry.socket in readable else 0
            for _ in range(burst):
                try:
                    parts = [entry.receive_topic()]
                except zmq.Again:
                    break
                while entry.has_more() and len(parts) < FRAME_PARTS:
                    parts.append(entry.socket.recv())
                too_long = entry.has_more()
                self._take(parts, writer, entry, too_long=too_long)
                left -= 1
                if not entry.discard_rest():
                    self._poller.unregister(entry.socket)
                    entry.reopen(_no_beat)
                    self._poller.register(entry.socket, zmq.POLLIN)
                    break
        if time.monotonic() >= self._flush_due_s:
            writer.flush()
            self._flush_due_s = time.monotonic() + FLUSH_PERIOD_S

    @property
    def refused(self) -> Counter[Cause]:
        """Connections refused, by cause."""
        return self._door.rejected if self._door else Counter()

    def fault_of(self, cause: Cause) -> str:
        """What the latest fault of a cause was."""
        refused = self._door.fault_of(cause) if self._door else None
        return self.last_faults.get(cause) or (refused[1] if refused else "")

    def close(self) -> None:
        """Close the sockets."""
        close_inputs(self._inputs)
        self._inputs = ()
        if self._door:
            self._door.close()
        self._context.term()

    def _take(
        self, parts: list[bytes], writer: RecordingWriter, entry: FrameInput, *, too_long: bool
    ) -> None:
        try:
            header = self._check(parts, entry, too_long=too_long)
        except BadFrame as error:
            self.rejected[error.cause] += 1
            self.last_faults[error.cause] = error.detail[:FAULT_CHARACTERS_MAX]
            return
        writer.add(header, parts[2], parts[1])
        self.frames[header.camera] += 1
        # A late frame is recorded as well: the recording holds what was sent.
        tracker = self._trackers.setdefault(header.camera, SequenceTracker())
        lost = tracker.arrive(header).lost
        self.lost[header.camera] += lost.count if lost else 0

    def _check(self, parts: list[bytes], entry: FrameInput, *, too_long: bool) -> FrameHeader:
        if len(parts) != FRAME_PARTS or too_long:
            count = "more" if too_long else str(len(parts))
            raise BadFrame(Cause.BAD_PARTS, f"{count} parts, a frame has {FRAME_PARTS}", None)
        header = parse_header(parts[0], parts[1])
        refusal = entry.refusal(header.camera)
        if refusal is not None:
            raise BadFrame(refusal.cause, refusal.detail, header)
        known = self._cameras or self._trackers.keys()
        if header.camera not in known and (self._cameras or len(known) >= CAMERAS_MAX):
            raise BadFrame(Cause.UNKNOWN_CAMERA, repr(header.camera), header)
        if self._frame_shape:
            check_shape(header, self._frame_shape)
        if header.codec == "raw":
            check_raw_length(header, len(parts[2]))
        return header


def _no_beat() -> None:
    """The recorder has no watchdog to feed."""
