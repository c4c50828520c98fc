"""Runs a source through a daemon in a child process: all frames in, all events out."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stripwatch.client.messages import Received
from stripwatch.client.subscriber import STRIP_TOPICS, Subscriber
from stripwatch.config.sections import Config, Input
from stripwatch.config.security import Security
from stripwatch.errors import ConfigError, DeviceError, ExitCode, ModelError
from stripwatch.feed.link import Link, link_to
from stripwatch.feed.sender import Schedule, send_frames
from stripwatch.feed.sources import Source
from stripwatch.inspect.sequence import SequenceTracker
from stripwatch.lab.processes import Process, daemon_process
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Status
from stripwatch.wire.frame import FrameHeader

POLL_S = 0.1
STALLED_S = 60.0  # without a status, or without a frame more accounted for
QUEUE_EVENTS = 1_000_000


class _StallCheck:
    """Raises when the run cannot continue: stopped, daemon ended, or no progress for too long."""

    def __init__(self, stop: threading.Event, daemon: Process) -> None:
        self._stop = stop
        self._daemon = daemon
        self._last: object = None
        self._since_s = time.monotonic()

    def check(self, state: object) -> None:
        """Compare the state with that of the last call.

        Raises:
            KeyboardInterrupt: a stop was requested.
            ConfigError, ModelError, DeviceError: the daemon has ended, or makes no progress.
        """
        if self._stop.is_set():
            raise KeyboardInterrupt
        code = self._daemon.poll()
        if code is not None:
            kinds = {ExitCode.CONFIG: ConfigError, ExitCode.MODEL: ModelError}
            kind = next((kinds[known] for known in kinds if known == code), DeviceError)
            raise kind(f"stripwatch run ended with exit code {code}; its error is printed above")
        if state != self._last:
            self._last, self._since_s = state, time.monotonic()
        elif time.monotonic() - self._since_s > STALLED_S:
            raise DeviceError(f"no progress of the daemon in {STALLED_S:g} s; try stripwatch run")


def run_daemon(
    config: Config,
    source: Source,
    schedule: Schedule,
    stop: threading.Event,
    on_sent: Callable[[FrameHeader], None] = lambda _: None,
) -> list[Received]:
    """Send a source through a new daemon; returns the numbered events it published.

    Endpoints are replaced by new ones and inputs by PULL, so that the daemon holds the sender
    back instead of dropping frames. Returns when every frame sent was inspected or missed.

    Raises:
        KeyboardInterrupt: `stop` was set.
        ConfigError, ModelError, DeviceError: the daemon did not start, ended or makes no progress.
    """
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as folder:
        isolated = isolated_config(config, Path(folder))
        topics = (*STRIP_TOPICS, "status")  # a status shows that all were subscribed to
        with (
            Subscriber(isolated.publish.endpoint, topics, queue_events=QUEUE_EVENTS) as events,
            daemon_process(isolated, Path(folder) / "config.toml") as daemon,
        ):
            stall_check = _StallCheck(stop, daemon)
            while not isinstance(events.receive(POLL_S), Status):
                stall_check.check(None)
            link = link_to(isolated.inputs[0])
            with _sending(source, link, schedule, on_sent) as sending:
                collected = _collect(events, sending, stall_check)
            if events.missed or events.malformed:
                raise DeviceError(
                    f"{events.missed} events were lost in transit and {events.malformed} "
                    "malformed; the comparison would be incomplete"
                )
    return collected


def isolated_config(config: Config, folder: Path) -> Config:
    """The configuration with new endpoints inside `folder`, apart from any running daemon."""
    replace = msgspec.structs.replace
    return replace(
        config,
        inputs=(Input(endpoint=f"ipc://{folder}/frames", pattern="pull", attach="bind"),),
        publish=replace(
            config.publish,
            endpoint=f"ipc://{folder}/events",
            attach="bind",
            queue_events=QUEUE_EVENTS,
        ),
        journal=replace(config.journal, folder=f"{folder}/journal"),
        requests=None,
        security=Security(),  # the paths are in a folder that only this user can enter
        metrics=None,
        service=replace(config.service, log_level="warning"),
    )


class _Sending:
    """Progress of the sending thread."""

    def __init__(self) -> None:
        self._trackers: dict[str, SequenceTracker] = {}
        self.last_seqs: dict[str, tuple[str, int]] = {}  # session and frame number, by camera
        self.done = False
        self.error: BaseException | None = None

    def note(self, header: FrameHeader) -> None:
        """Record that a frame was sent.

        A frame that the daemon drops as late was counted before: it is not the last to wait for,
        even where a recording ends with it.
        """
        tracker = self._trackers.setdefault(header.camera, SequenceTracker())
        arrival = tracker.arrive(header)
        if arrival.cause not in (Cause.LATE, Cause.STRAY):
            self.last_seqs[header.camera] = (arrival.frame.session, header.seq)


@contextmanager
def _sending(
    source: Source, link: Link, schedule: Schedule, on_sent: Callable[[FrameHeader], None]
) -> Iterator[_Sending]:
    """Send in a thread, so that events are received meanwhile."""
    sending = _Sending()
    stop = threading.Event()

    def note(header: FrameHeader) -> None:
        sending.note(header)
        on_sent(header)

    def send() -> None:
        try:
            send_frames(source, link, schedule, stop, on_sent=note)
            sending.done = True
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            sending.error = error

    thread = threading.Thread(target=send, name="send")
    thread.start()
    try:
        yield sending
    finally:
        stop.set()
        thread.join()


def _collect(events: Subscriber, sending: _Sending, stall_check: _StallCheck) -> list[Received]:
    """The numbered events, until every frame sent is accounted for."""
    collected: list[Received] = []
    last_seqs: dict[str, tuple[str, int]] = {}
    while True:
        received = events.receive_message(POLL_S)
        if sending.error is not None:
            raise sending.error
        if received is None:
            stall_check.check(last_seqs)
        elif isinstance(received.event, Status):
            cameras = received.event.cameras.items()
            last_seqs = {name: (entry.session, entry.last_frame_seq) for name, entry in cameras}
            stall_check.check(last_seqs)
            if sending.done and last_seqs == sending.last_seqs:
                return collected
        else:
            collected.append(received)
