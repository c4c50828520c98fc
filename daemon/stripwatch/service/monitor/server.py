"""A small HTTP server that strangers cannot harm: GET and HEAD, one request a connection.

One thread serves all connections with asyncio. It accepts at most a hundred connections a second,
keeps at most `CONNECTIONS_MAX` (the oldest makes room for a new one), reads at most
`REQUEST_BYTES_MAX` of each and ends it after `CONNECTION_S_MAX`, however slow the client is.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from stripwatch.errors import AddressError

HOST = "127.0.0.1"
CONNECTIONS_MAX = 16
BACKLOG = 128  # connections that the kernel keeps until they are accepted
CONNECTION_S_MAX = 5.0
REQUEST_BYTES_MAX = 8192
ACCEPT_PAUSE_S = 0.01  # so that a flood of connections costs no more than a few percent of a core
FAULT_PAUSE_S = 0.2  # after a failed accept, such as for lack of descriptors
CLOSE_S_MAX = 2.0
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to a request."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT


def metrics_url(port: int) -> str:
    """Where the metrics are."""
    return f"http://{HOST}:{port}/metrics"


class Server:
    """Answers requests on a port of the loopback address, in a thread of its own."""

    def __init__(self, port: int, reply: Callable[[str], Reply | None]) -> None:
        """Bind the port; connections wait until `start`.

        Args:
            port: 0 for any; see `port`.
            reply: to a path; None: there is no such page.

        Raises:
            AddressError: another process has the port, or this one may not.
        """
        self._reply = reply
        self._log = structlog.get_logger()
        self._reported = False
        self._connections: dict[asyncio.Task[None], None] = {}  # the oldest first
        try:
            self._socket = socket.create_server((HOST, port), backlog=BACKLOG)
        except OSError as error:
            raise AddressError(
                f"metrics.port = {port}: {HOST}:{port} cannot be bound: {error.strerror}; choose "
                f"another port, or stop the process that has this one"
            ) from error
        self._socket.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port that is bound."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def close(self) -> None:
        """Close the port and all connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_S_MAX)
        self._socket.close()

    def _run(self) -> None:
        accepting = self._loop.create_task(self._accept())
        try:
            self._loop.run_forever()
        finally:
            tasks = [accepting, *self._connections]
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._socket)
            except OSError:  # no descriptor is left; the cameras may need the next one
                await asyncio.sleep(FAULT_PAUSE_S)
                continue
            if len(self._connections) >= CONNECTIONS_MAX:
                next(iter(self._connections)).cancel()
            task = self._loop.create_task(self._serve(connection))
            self._connections[task] = None
            task.add_done_callback(self._connections.pop)
            await asyncio.sleep(ACCEPT_PAUSE_S)

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                async with asyncio.timeout(CONNECTION_S_MAX):
                    head = await self._read_head(connection)
                    await self._loop.sock_sendall(connection, self._answer(head))
            except (OSError, TimeoutError):  # the client has gone, or is too slow
                return

    async def _read_head(self, connection: socket.socket) -> bytes:
        """A request up to the empty line after its headers, or as much as may be read."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < REQUEST_BYTES_MAX:
            part = await self._loop.sock_recv(connection, REQUEST_BYTES_MAX - len(head))
            if not part:
                break
            head += part
        return head

    def _answer(self, head: bytes) -> bytes:
        method, reply = self._reply_to(head)
        lines = (
            f"HTTP/1.1 {reply.status.value} {reply.status.phrase}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            "\r\n",
        )
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else reply.body)

    def _reply_to(self, head: bytes) -> tuple[str, Reply]:
        """The method of a request, and what is answered."""
        first_line = head.partition(b"\r\n")[0].decode("ascii", "replace")
        words = first_line.split(" ")
        if b"\r\n\r\n" not in head or len(words) != 3 or not words[2].startswith("HTTP/1."):
            return "", Reply(HTTPStatus.BAD_REQUEST, b"not a request of HTTP/1.1\n")
        method, target, _ = words
        if method not in {"GET", "HEAD"}:
            return method, Reply(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n")
        try:
            reply = self._reply(target.partition("?")[0])
        except Exception as error:  # noqa: BLE001 - whatever it is, the next request is served
            if not self._reported:
                self._reported = True
                self._log.error(
                    "a request for metrics has failed", path=target[:100], error=repr(error)
                )
            return method, Reply(HTTPStatus.INTERNAL_SERVER_ERROR, b"failed; see the log\n")
        return method, reply or Reply(HTTPStatus.NOT_FOUND, b"/metrics, /healthz or /readyz\n")
