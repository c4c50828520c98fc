"""A camera of the fault harness: every frame has a defect whose area tells its number."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Sequence

import numpy as np
import zmq

from stripwatch.engines.fake import PAINT
from stripwatch.lab.faults.plan import Chances, Fault, Step
from stripwatch.wire.frame import FrameHeader, build_frame

SHAPE = (16, 64)  # lines, pixels
FIRST_SEQ = 100_000  # of the first session, so that one that counts again never reaches it
STRIP_FRAMES = 150
QUEUE_FRAMES = 200
CALM_PERIOD_S = 0.1  # slow enough for every line to catch up
QUIET_FRAMES = 40  # after a session counts again: in order, so that it is seen to
CLOCK_STEP_NS = 7_200_000_000_000
_WIDTH, _HEIGHT = 40, 12  # of the largest defect

Message = Sequence[bytes | memoryview]


def defect_area(seq: int) -> int:
    """Area of the defect in a frame, in pixels."""
    return (1 + seq % _WIDTH) * (1 + seq // _WIDTH % _HEIGHT)


class LabCamera(threading.Thread):
    """Sends frames until it is stopped; faults come through its mailbox."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        *,
        is_push: bool,
        frames_per_s: float,
        chances: Chances,
        seed: int,
    ) -> None:
        super().__init__(name=f"camera-{name}", daemon=True)
        self.camera = name
        self._endpoint = endpoint
        self._kind = zmq.PUSH if is_push else zmq.PUB
        self._period_s = 1 / frames_per_s
        self._chances = chances
        self._chance = random.Random(f"{name}-{seed}")  # noqa: S311 - a schedule, not a secret
        self._mailbox: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self._stop_wanted = threading.Event()
        self.calm = threading.Event()  # no more skipped, repeated or reordered frames
        # Numbers used (sent or not), by session and how often it has counted from the beginning.
        self.used: dict[tuple[str, int], int] = {}  # the last one of each
        self.not_sent = 0
        self._sessions = 0
        self._session = ""
        self._round = 1
        self._seq = 0
        self._last = ("", -1)
        self._strips = 0
        self._strip_frame = 0
        self._clock_ns = 0
        self._quiet = 0
        self._lost_until_s = 0.0
        self._held: list[Message] = []
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def request(self, step: Step) -> None:
        """Any thread: do something to this camera."""
        self._mailbox.put(step)

    @property
    def last(self) -> tuple[str, int]:
        """Session and number of the frame that has left last."""
        return self._last

    def stop(self) -> None:
        """Send no more frames; the socket stays open until `close`."""
        self._stop_wanted.set()
        self.join()

    def close(self) -> None:
        """Close the socket with what still queues in it."""
        self._stop_wanted.set()
        if self.is_alive():
            self.join()
        self._context.destroy(linger=0)

    def run(self) -> None:
        """Send frames."""
        self._begin_session(FIRST_SEQ)
        next_s = time.monotonic()
        while not self._stop_wanted.is_set():
            while not self._mailbox.empty():
                self._take(self._mailbox.get())
            if time.monotonic() < self._lost_until_s and not self.calm.is_set():
                if self._socket is not None:
                    self._socket.close(0)
                    self._socket = None
            elif self._socket is None:
                self._socket = self._connect()
            self._send(self._socket)
            period_s = CALM_PERIOD_S if self.calm.is_set() else self._period_s
            next_s = max(next_s + period_s, time.monotonic() - 1)
            time.sleep(max(0, next_s - time.monotonic()))
        if self._socket is not None:
            self._flush(self._socket)

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(self._kind)
        socket.set_hwm(QUEUE_FRAMES)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.connect(self._endpoint)
        return socket

    def _take(self, step: Step) -> None:
        match step.fault:
            case Fault.CAMERA_LOST:
                self._lost_until_s = time.monotonic() + step.for_s
            case Fault.NEW_SESSION:
                self._begin_session(0)
            case Fault.COUNT_AGAIN if self._sessions == 1:  # later ones have low numbers
                self._held.clear()
                self._round, self._seq, self._quiet = self._round + 1, 0, QUIET_FRAMES
            case Fault.CLOCK_STEP:
                self._clock_ns = self._chance.choice((-1, 0, 1)) * CLOCK_STEP_NS

    def _begin_session(self, seq: int) -> None:
        self._sessions += 1
        self._session, self._round, self._seq = f"{self.camera}-s{self._sessions}x", 1, seq
        self._held.clear()

    def _send(self, socket: zmq.Socket[bytes] | None) -> None:
        seq, self._seq = self._seq, self._seq + 1
        self.used[self._session, self._round] = seq
        message = self._message(seq)
        before = self.not_sent
        self._quiet -= 1
        is_plain = self.calm.is_set() or self._quiet > 0
        drawn = self._chance.random()
        if socket is None or (drawn < self._chances.skip and not is_plain):
            self.not_sent += 1
            return
        if self._chance.random() < self._chances.reorder and not is_plain:
            self._held.append(message)
            return
        self._put(socket, message)
        if self.not_sent == before:
            self._last = self._session, seq
        self._flush(socket)
        if self._chance.random() < self._chances.duplicate and not is_plain:
            self._put(socket, message)

    def _flush(self, socket: zmq.Socket[bytes]) -> None:
        for message in self._held:
            self._put(socket, message)
        self._held.clear()

    def _put(self, socket: zmq.Socket[bytes], message: Message) -> None:
        try:
            socket.send_multipart(message, zmq.NOBLOCK)
        except zmq.Again:
            self.not_sent += 1

    def _message(self, seq: int) -> Message:
        frame = self._strip_frame
        is_last = frame == STRIP_FRAMES - 1
        header = FrameHeader(
            v=1,
            camera=self.camera,
            session=self._session,
            seq=seq,
            t_ns=time.time_ns() + self._clock_ns,
            shape=SHAPE,
            dtype="u8",
            codec="raw",
            strip=f"coil-{self._strips}",
            line=frame * SHAPE[0],
            # Without an end the next strip's first frame ends it.
            end=is_last and self._strips % 2 == 0,
        )
        self._strip_frame = 0 if is_last else frame + 1
        self._strips += is_last
        pixels = np.zeros(SHAPE, np.uint8)
        pixels[: 1 + seq // _WIDTH % _HEIGHT, : 1 + seq % _WIDTH] = PAINT + 1 + seq % 4
        return build_frame(header, pixels.tobytes())
