"""A subscriber that keeps all it sees, and subscribers that never read."""

from __future__ import annotations

import threading
from collections import Counter

import zmq

from stripwatch.wire.event import FrameResult, NumberedEvent, Status, parse_event

POLL_MS = 50


class Witness(threading.Thread):
    """Sees what the daemon publishes, across its restarts."""

    def __init__(self, endpoint: str, slow_subscribers: int) -> None:
        super().__init__(name="witness", daemon=True)
        self._context = zmq.Context()
        self._socket = self._subscribe(endpoint, queue=0)
        self._slow = [self._subscribe(endpoint, queue=1) for _ in range(slow_subscribers)]
        self._over = threading.Event()
        self.numbered: list[tuple[str, int, bytes]] = []  # stream, seq, payload as it came
        self.inspected: set[tuple[str, str, int]] = set()  # camera, session, number
        self.states: Counter[str] = Counter()
        self.faults: list[str] = []

    def run(self) -> None:
        """Read until `close`."""
        while not self._over.is_set() or self._socket.poll(0):
            if self._socket.poll(POLL_MS):
                self._read()

    def close(self) -> None:
        """Read what is there, and end."""
        self._over.set()
        self.join()
        self._context.destroy(linger=0)

    def _subscribe(self, endpoint: str, queue: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.set_hwm(queue)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        for topic in ("defect", "gap", "light", "periodic", "strip", "daemon", "status", "frame"):
            socket.subscribe(topic)
        socket.connect(endpoint)
        return socket

    def _read(self) -> None:
        topic, payload = self._socket.recv_multipart()
        event = parse_event(topic, payload)
        if isinstance(event, Status):
            self.states[event.state] += 1
        elif isinstance(event, FrameResult):
            frame = (event.camera, event.session, event.frame_seq)
            if frame in self.inspected:
                self.faults.append(f"the result of frame {frame} was published twice")
            self.inspected.add(frame)
        elif isinstance(event, NumberedEvent):
            self.numbered.append((event.stream, event.seq, payload))
