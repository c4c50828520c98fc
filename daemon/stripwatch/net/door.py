"""The door of a context's sockets: says which keys get in, and counts what does not.

libzmq asks it about every key (ZAP, ZeroMQ RFC 27). A refused peer gets no answer, is closed after
`HANDSHAKE_MS_MAX`, and tries again: a key that is granted later gets in. A plain "no" would make
clients of libzmq give up for good.
"""

from __future__ import annotations

import functools
import itertools
import resource
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import get_args

import zmq
from zmq.utils import z85

from stripwatch.config.security import Security
from stripwatch.net.access import Access, Refusal, open_access
from stripwatch.net.connections import EVENTS, Connections
from stripwatch.net.curve import DaemonCurve, Domain
from stripwatch.wire.causes import Cause

POLL_MS = 100
FOLLOW_S = 1.0  # between two looks at the allow-list
EVENTS_PER_TURN = 1000  # of a socket's monitor
# Of a socket. Each may hold a message that is not complete, also before its key is known: at the
# inputs as long as a frame.
CONNECTIONS_MAX: dict[Domain, int] = {"frames": 64, "events": 512, "requests": 256}
CONNECTIONS_MIN = 8
DESCRIPTORS_MIN = 4096  # that the process asks the system for
DESCRIPTORS_KEPT = 256  # for everything but connections
CLOSING_S_MAX = 2.0  # for the sockets that are watched to be gone
ZAP_ENDPOINT = "inproc://zeromq.zap.01"
_TRY_LATER = b"300"
_numbers = itertools.count()
Context = zmq.Context[zmq.Socket[bytes]]


class Door:
    """Has a thread of its own from `start` to `close`."""

    def __init__(self, context: Context, access: Access) -> None:
        """Be there before any socket of the context uses CURVE.

        Args:
            context: of the sockets.
            access: who may do what.
        """
        self.access = access
        self._context = context
        self._share = _share_of_connections()
        self._questions = context.socket(zmq.REP)
        self._questions.bind(ZAP_ENDPOINT)
        self._arriving: deque[tuple[zmq.Socket[bytes], Connections]] = deque()
        self._watched: dict[zmq.Socket[bytes], Connections] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # of the two that follow
        self._rejected: Counter[Cause] = Counter()
        self._last_faults: dict[Cause, tuple[str, str]] = {}
        self.failure: BaseException | None = None

    def curve(self, domain: Domain) -> DaemonCurve:
        """For `open_socket`: the daemon's end of a socket of this kind."""
        key = self.access.key
        return DaemonCurve(
            public_key=key.public_key,
            secret_key=key.secret_key,
            domain=domain,
            watch=functools.partial(self._watch, domain),
        )

    @property
    def rejected(self) -> Counter[Cause]:
        """Connections and messages refused since the start, by cause."""
        with self._lock:
            return Counter(self._rejected)

    def fault_of(self, cause: Cause) -> tuple[str, str] | None:
        """Endpoint and detail of the latest refusal of a cause."""
        with self._lock:
            return self._last_faults.get(cause)

    def reject(self, refusal: Refusal, endpoint: str) -> None:
        """Count what was refused; any thread."""
        with self._lock:
            self._rejected[refusal.cause] += 1
            self._last_faults[refusal.cause] = (endpoint, refusal.detail)

    def start(self, beat: Callable[[], None]) -> None:
        """Begin to answer; `beat` is called at least every second."""

        def run() -> None:
            try:
                self._run(beat)
            except BaseException as error:  # noqa: BLE001 - the main thread reports and exits
                self.failure = error

        self._thread = threading.Thread(target=run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close its sockets; after those that it watches."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        while self._arriving:
            self._watched.update([self._arriving.popleft()])
        for monitor in self._watched:
            monitor.close(0)
        self._questions.close(0)

    def _watch(self, domain: Domain, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """Watch a socket from now on; in the thread that owns it, before it is bound."""
        address = f"inproc://door-{next(_numbers)}"
        socket.monitor(address, EVENTS | zmq.EVENT_MONITOR_STOPPED)
        monitor = self._context.socket(zmq.PAIR)
        monitor.set_hwm(0)  # a full queue would make libzmq's own thread wait for this one
        monitor.connect(address)
        connections_max = max(CONNECTIONS_MIN, int(self._share * CONNECTIONS_MAX[domain]))
        self._arriving.append((monitor, Connections(endpoint, connections_max)))

    def _run(self, beat: Callable[[], None]) -> None:
        poller = zmq.Poller()
        poller.register(self._questions, zmq.POLLIN)
        followed_s = 0.0
        stopped_s = float("inf")
        while True:
            beat()
            while self._arriving:
                monitor, connections = self._arriving.popleft()
                self._watched[monitor] = connections
                poller.register(monitor, zmq.POLLIN)
            now_s = time.monotonic()
            if self._stop.is_set():
                stopped_s = min(stopped_s, now_s)
                if not self._watched or now_s - stopped_s > CLOSING_S_MAX:
                    return
            if now_s - followed_s >= FOLLOW_S:
                followed_s = now_s
                self.access.follow()
            for socket, _ in poller.poll(POLL_MS):
                if socket is self._questions:
                    self._answer()
                elif not self._read(socket):
                    poller.unregister(socket)
                    del self._watched[socket]
                    socket.close(0)

    def _answer(self) -> None:
        """Answer one question of libzmq."""
        _, number, domain, address, _, mechanism, *credentials = self._questions.recv_multipart()
        name, status = b"", _TRY_LATER
        kind = next((one for one in get_args(Domain) if one == domain.decode()), None)
        if mechanism == b"CURVE" and kind is not None:
            admitted = self.access.admit(z85.encode(credentials[0]).decode(), kind)
            if isinstance(admitted, Refusal):
                detail = f"{admitted.detail}, from {address.decode()}"
                self.reject(Refusal(admitted.cause, detail), kind)
            else:
                name, status = admitted.encode(), b"200"
        self._questions.send_multipart([b"1.0", number, status, b"", name, b""])

    def _read(self, monitor: zmq.Socket[bytes]) -> bool:
        """Take in what a monitor tells; False: its socket is closed."""
        connections = self._watched[monitor]
        for _ in range(EVENTS_PER_TURN):
            try:
                head, _endpoint = monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return True
            event = int.from_bytes(head[:2], "little")
            if event == zmq.EVENT_MONITOR_STOPPED:
                return False
            refusal = connections.take(event, int.from_bytes(head[2:6], "little"))
            if refusal is not None:
                self.reject(refusal, connections.endpoint)
        return True


def open_door(context: Context, security: Security) -> Door | None:
    """The door of a daemon with this configuration; None: it does not use CURVE.

    Raises:
        ConfigError: the daemon's key or the allow-list cannot be used.
    """
    access = open_access(security)
    return Door(context, access) if access else None


def _share_of_connections() -> float:
    """The part of `CONNECTIONS_MAX` for which there are descriptors, after asking for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS_MIN:
        soft = min(DESCRIPTORS_MIN, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(1.0, (soft - DESCRIPTORS_KEPT) / (2 * sum(CONNECTIONS_MAX.values())))
