"""A TCP proxy whose connections can be cut, for the network between cameras and daemon."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

CHUNK_BYTES = 65_536
POLL_S = 0.1
CONNECT_TIMEOUT_S = 2.0


class Proxy(threading.Thread):
    """Passes bytes between its own port and another one of this computer."""

    def __init__(self, port: int) -> None:
        """Listen on a free port; connections go on to `port`."""
        super().__init__(name="proxy", daemon=True)
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._cut_wanted = threading.Event()
        self._over = threading.Event()

    def cut(self) -> None:
        """Any thread: end every connection, with whatever is on its way."""
        self._cut_wanted.set()

    def close(self) -> None:
        """End the thread and everything that it has open."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Pass bytes until `close`."""
        while not self._over.is_set():
            for key, _ in self._selector.select(POLL_S):
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if ready is self._listener:
                    self._accept()
                elif ready in self._peers:
                    self._pass_on(ready)
            if self._cut_wanted.is_set():
                self._cut_wanted.clear()
                self._end_all()
        self._end_all()
        self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target, CONNECT_TIMEOUT_S)
        except OSError:  # no daemon runs: the camera tries again
            near.close()
            return
        far.settimeout(None)
        for one, other in ((near, far), (far, near)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        # A daemon that does not read stops the proxy as a full network would.
        try:
            content = source.recv(CHUNK_BYTES)
            if content:
                self._peers[source].settimeout(1.0)
                self._peers[source].sendall(content)
                return
        except OSError:
            content = b""  # one side has gone, and so must the other
        self._end(source)

    def _end(self, one: socket.socket) -> None:
        for entry in (one, self._peers[one]):
            with suppress(KeyError):
                self._selector.unregister(entry)
            self._peers.pop(entry, None)
            entry.close()

    def _end_all(self) -> None:
        while self._peers:
            self._end(next(iter(self._peers)))


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
