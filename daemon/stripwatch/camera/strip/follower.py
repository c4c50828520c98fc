"""Follows a source of the coil id in a thread of its own: no frame ever waits for it."""

from __future__ import annotations

import threading

import structlog
import zmq

from stripwatch.camera.strip.ask import Ask, Close, open_source
from stripwatch.camera.strip.state import SourceFault, StripState
from stripwatch.config.strip_source import StripSource
from stripwatch.errors import AddressError
from stripwatch.net.sockets import Context
from stripwatch.service.extras import missing_extra

RETRY_S_MAX = 2.0


class StripFollower:
    """Asks again and again; `latest` is what is known now.

    While the source fails, the strip is unknown, and the log says so once.
    """

    def __init__(self, camera: str, source: StripSource) -> None:
        """Begin to ask."""
        self._source = source
        self._stop = threading.Event()
        self._log = structlog.get_logger().bind(camera=camera)
        self._state = StripState(fault="not asked yet")
        self._thread = threading.Thread(target=self._run, name="strip", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> StripState:
        """What the source says now."""
        return self._state

    def close(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        context: Context = zmq.Context()
        delay_s = self._source.poll_s
        try:
            while not self._stop.is_set():
                try:
                    ask, close = open_source(self._source, context)
                except (SourceFault, AddressError, ModuleNotFoundError) as error:
                    self._tell(StripState(fault=_sentence(error)))
                    delay_s = min(2 * delay_s, RETRY_S_MAX)
                else:
                    self._follow(ask, close)
                    delay_s = self._source.poll_s
                self._stop.wait(delay_s)
        finally:
            context.term()

    def _follow(self, ask: Ask, close: Close) -> None:
        """Ask until the source fails, or nobody wants to know any more."""
        try:
            while not self._stop.is_set():
                try:
                    state = ask()
                except SourceFault as fault:
                    self._tell(StripState(fault=str(fault)))
                    return
                if state is not None:
                    self._tell(state)
                elif self._state.fault:
                    self._tell(StripState())  # it is there, and has not said anything yet
                if self._source.kind != "zmq":  # which waits for its messages itself
                    self._stop.wait(self._source.poll_s)
        finally:
            close()

    def _tell(self, state: StripState) -> None:
        before, self._state = self._state, state
        if state.fault and state.fault != before.fault:
            self._log.warning(
                "the coil id is unknown; frames go on without it",
                source=self._source.address,
                detail=state.fault,
            )
        elif before.fault and not state.fault:
            self._log.info("the coil id is known", source=self._source.address, strip=state.strip)


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return missing_extra(error) or str(error)
    return str(error)
