"""The life of a process that forwards events: connect, send, report, connect again, drain."""

from __future__ import annotations

import random
import threading
import time

import msgspec
import structlog

from stripwatch.errors import ExitCode, SinkError, StorageError
from stripwatch.outputs.forward import NO_PROGRESS, POLL_S, Forwarder
from stripwatch.outputs.sink import Sink
from stripwatch.service.forward_status import DaemonStatus, ForwardStatus, State, forward_status
from stripwatch.service.sdnotify import Notifier

REPORT_S = 1.0  # between two reports
STORAGE_RETRY_S = 0.3  # less than REPORT_S, so that a fault that lasts is seen in every report
RETRY_S_MIN, RETRY_S_MAX = 0.5, 30.0


class Link:
    """The connection to a sink: when it is tried again, later each time, and with jitter."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._log = structlog.get_logger()
        self._fault = ""  # as logged last; empty: connected
        self._attempts = 0
        self._since_s = self._due_s = 0.0  # connected since; to be tried again at
        self.window = 0  # messages that may be in flight; 0: not connected

    def try_connect(self) -> None:
        """Connect, if it is time to."""
        if time.monotonic() < self._due_s:
            return
        try:
            self.window = self._sink.connect()
        except SinkError as error:
            self.broken(error)
            return
        self._since_s, self._fault = time.monotonic(), ""
        self._log.info("connected", window=self.window)

    def broken(self, error: SinkError) -> None:
        """An attempt has failed, or the connection has ended; each reason is logged once."""
        now_s = time.monotonic()
        if self.window and now_s - self._since_s >= RETRY_S_MAX:
            self._attempts = 0  # a connection that ends soon is tried ever more slowly as well
        self.window = 0
        delay_s = min(RETRY_S_MAX, RETRY_S_MIN * 2.0 ** min(self._attempts, 16))
        self._attempts += 1
        # Many forwarders must not come back to a broker in step.
        self._due_s = now_s + delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if str(error) != self._fault:
            self._log.warning("not connected; trying again", detail=str(error))
        self._fault = str(error)


class Forwarding:
    """One run of `stripwatch forward`; all work is done in the thread that calls `run`."""

    def __init__(
        self, forwarder: Forwarder, sink: Sink, daemon: DaemonStatus, notifier: Notifier
    ) -> None:
        self._forwarder = forwarder
        self._sink = sink
        self._daemon = daemon
        self._notifier = notifier
        self._link = Link(sink)
        self._log = structlog.get_logger()
        self._reported_s = self._storage_due_s = 0.0
        self._storage_fault = self._logged_fault = ""  # since the last report; as logged last
        self._progress = NO_PROGRESS
        self._settled = self._settled_before = self._unheard_before = 0
        self._nobody_listens = False

    def run(self, stop: threading.Event, drain_timeout_s: float) -> ExitCode:
        """Forward until `stop`; a receiver or a journal that is away is waited for.

        Raises:
            StorageError: the last position could not be stored.
        """
        self._notifier.ready()
        try:
            while not stop.is_set():
                if time.monotonic() - self._reported_s >= REPORT_S:
                    self._report()
                if self._link.window:
                    self._turn()
                else:
                    self._link.try_connect()
                    if self._link.window:
                        self._report()  # in place of the last will
                    else:
                        stop.wait(POLL_S)
            return self._drain(drain_timeout_s)
        finally:
            self._sink.close()
            self._forwarder.close()

    def _turn(self, *, send: bool = True) -> None:
        """Send what there is room for, and take in acknowledgements."""
        try:
            if send and time.monotonic() >= self._storage_due_s:
                self._forwarder.fill(self._sink, self._link.window)
            count = self._sink.acknowledged(POLL_S)
            self._settled += count
            self._forwarder.settle(count)
        except StorageError as error:
            self._storage_failed(error)
        except SinkError as error:
            self._disconnected(error)

    def _disconnected(self, error: SinkError) -> None:
        self._forwarder.rewind()
        self._link.broken(error)

    def _storage_failed(self, error: StorageError) -> None:
        self._storage_fault = str(error)
        self._storage_due_s = time.monotonic() + STORAGE_RETRY_S

    def _report(self) -> None:
        """Tell systemd, the log and the sink how it goes."""
        self._reported_s = time.monotonic()
        self._notifier.watchdog()
        self._look()
        fault, self._storage_fault = self._storage_fault, ""
        if fault != self._logged_fault:
            self._logged_fault = fault
            log = self._log.error if fault else self._log.info
            log("journal fault" if fault else "journal fault is over", detail=fault)
        self._note_listeners()
        status = self._status("failed" if fault else "online", fault)
        if self._link.window:
            try:
                self._sink.report(msgspec.json.encode(status))
            except SinkError as error:
                self._disconnected(error)
        self._notifier.status(
            f"{'connected' if self._link.window else 'not connected'}: event "
            f"{status.acknowledged_seq} of {status.last_seq} acknowledged, "
            f"{status.lag_s:.0f} s behind {fault}"
        )

    def _look(self) -> None:
        try:
            self._progress = self._forwarder.progress()
        except StorageError as error:
            self._storage_failed(error)

    def _note_listeners(self) -> None:
        settled, unheard = self._settled, self._sink.unheard
        if settled == self._settled_before:
            return
        nobody = unheard - self._unheard_before >= settled - self._settled_before
        self._settled_before, self._unheard_before = settled, unheard
        if nobody != self._nobody_listens:
            log = self._log.warning if nobody else self._log.info
            log("nobody has subscribed" if nobody else "somebody has subscribed", unheard=unheard)
        self._nobody_listens = nobody

    def _status(self, state: State, reason: str) -> ForwardStatus:
        return forward_status(
            self._progress,
            state,
            reason,
            unheard=self._sink.unheard,
            nobody_listens=self._nobody_listens,
            daemon=self._daemon.read(),
        )

    def _drain(self, timeout_s: float) -> ExitCode:
        """Wait for what is in flight, store the position, say that we go.

        Raises:
            StorageError: the position could not be stored; the next start repeats events.
        """
        self._notifier.stopping()
        until_s = time.monotonic() + timeout_s
        while self._forwarder.in_flight and time.monotonic() < until_s:
            self._turn(send=False)
        unanswered = self._forwarder.in_flight
        self._look()
        if self._link.window:
            try:
                self._sink.leave(msgspec.json.encode(self._status("offline", "stopped")))
            except SinkError as error:
                self._log.warning("not connected at the end", detail=str(error))
        self._forwarder.store()
        if unanswered:
            self._log.error("stopped before everything was acknowledged", in_flight=unanswered)
            return ExitCode.DRAIN_TIMEOUT
        self._log.info("stopped", acknowledged_seq=self._progress.acknowledged_seq)
        return ExitCode.OK
