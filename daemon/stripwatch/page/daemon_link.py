"""The page's connections to the daemon: its status, requests, and pictures of its cameras.

Every socket of the page is opened here.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import zmq

from stripwatch.client.requester import Requester
from stripwatch.client.subscriber import Subscriber
from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError, StripwatchError
from stripwatch.net.curve import ClientCurve
from stripwatch.net.peer import peer_endpoint
from stripwatch.wire.event import Status
from stripwatch.wire.requests import Answer, AskStatus, Request, StatusAnswer

ANSWER_S_MAX = 6.0  # two tries of the requester
POLL_S = 0.5
ASK_S = 1.0  # between two statuses that are asked for


class NoAnswerError(StripwatchError):
    """The daemon does not answer a request."""


def open_subscriber(
    config: Config, topics: Iterable[str], queue_events: int, curve: ClientCurve | None
) -> Subscriber | None:
    """A subscriber to the daemon; None where the daemon connects to its one subscriber."""
    if config.publish.attach != "bind":
        return None
    endpoint, _ = peer_endpoint(config.publish.endpoint, "bind")
    return Subscriber(endpoint, tuple(topics), queue_events=queue_events, curve=curve)


def open_requester(
    config: Config, context: zmq.Context[zmq.Socket[bytes]], curve: ClientCurve | None
) -> Requester:
    """A requester to the daemon.

    Raises:
        ConfigError: the daemon takes no requests.
    """
    if config.requests is None:
        raise ConfigError(
            "the daemon takes no requests; add [requests] with an endpoint to its configuration"
        )
    endpoint, _ = peer_endpoint(config.requests.endpoint, "bind")
    return Requester(context, endpoint, curve)


class Asking:
    """Sends requests one after the other, in a thread of their own."""

    def __init__(self, config: Config, curve: ClientCurve | None = None) -> None:
        """Connect with the first request, with a key where the daemon wants one."""
        self._config = config
        self._curve = curve
        self._thread = ThreadPoolExecutor(1, "requests")
        self._context = zmq.Context()
        self._requester: Requester | None = None
        self._numbers = itertools.count(1)

    def next_id(self) -> str:
        """An id for the next request."""
        return f"page-{next(self._numbers)}"

    async def ask(self, request: Request) -> Answer:
        """The answer to a request.

        Raises:
            NoAnswerError: there is none.
            ConfigError: the daemon takes no requests.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.now, request)

    def close(self) -> None:
        """Wait for the answer that is under way, and disconnect."""
        self._thread.shutdown(cancel_futures=True)
        self._context.destroy(linger=0)

    def now(self, request: Request) -> Answer:
        """The same, in the calling thread."""
        if self._requester is None:
            self._requester = open_requester(self._config, self._context, self._curve)
        self._requester.ask(request)
        reply = self._requester.reply(ANSWER_S_MAX)
        if reply is None:
            self._requester.forget()
            raise NoAnswerError(self._requester.fault or "the daemon does not answer")
        return reply.answer


class StatusThread:
    """Receives the daemon's status and hands it to the event loop."""

    def __init__(
        self,
        config: Config,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[Status], None],
        curve: ClientCurve | None = None,
    ) -> None:
        """Start."""
        self._config = config
        self._curve = curve
        self._loop = loop
        self._take = take
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disconnect."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        subscriber = open_subscriber(self._config, ("status",), 100, self._curve)
        if subscriber is None:
            self._ask()
            return
        with subscriber:
            while not self._stop.is_set():
                event = subscriber.receive(POLL_S)
                if isinstance(event, Status):
                    self._hand_over(event)

    def _ask(self) -> None:
        """Where nothing is published for us, each status is asked for."""
        asking = Asking(self._config, self._curve)
        try:
            last_ns = 0
            while not self._stop.wait(ASK_S):
                try:
                    answer = asking.now(AskStatus(id=asking.next_id()))
                except (NoAnswerError, ConfigError):
                    continue  # its age says it
                status = answer.status if isinstance(answer, StatusAnswer) else None
                if status is not None and status.t_ns != last_ns:
                    last_ns = status.t_ns
                    self._hand_over(status)
        finally:
            asking.close()

    def _hand_over(self, status: Status) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, status)
