"""Runs a whole line once: a daemon in a child process, frames in, events out, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.client.subscriber import NUMBERED_TOPICS, Received, Subscriber
from stripwatch.config import Config, Input
from stripwatch.errors import ConfigError, DeviceError, ExitCode, ModelError
from stripwatch.feed.sender import Link, Plan, send_frames
from stripwatch.feed.sources import Source
from stripwatch.inspect.coverage import SequenceTracker
from stripwatch.service.signals import end_process
from stripwatch.wire.event import Status
from stripwatch.wire.frame import FrameHeader

POLL_S = 0.1
STALLED_S = 60.0  # without a status, or without a frame more accounted for
QUEUE_EVENTS = 1_000_000
STOP_MARGIN_S = 10.0  # over the daemon's own limit


class _Progress:
    """Tells when nothing has moved for too long."""

    def __init__(self, stop: threading.Event, daemon: subprocess.Popen[bytes]) -> None:
        self._stop = stop
        self._daemon = daemon
        self._last: object = None
        self._since_s = time.monotonic()

    def check(self, state: object) -> None:
        """Raise when the run cannot go on.

        Raises:
            KeyboardInterrupt: a stop is asked for.
            ConfigError, ModelError, DeviceError: the daemon has ended, or stands still.
        """
        if self._stop.is_set():
            raise KeyboardInterrupt
        code = self._daemon.poll()
        if code is not None:
            kinds = {ExitCode.CONFIG: ConfigError, ExitCode.MODEL: ModelError}
            kind = next((kinds[known] for known in kinds if known == code), DeviceError)
            raise kind(f"stripwatch run ended with exit code {code}; its message stands above")
        if state != self._last:
            self._last, self._since_s = state, time.monotonic()
        elif time.monotonic() - self._since_s > STALLED_S:
            raise DeviceError(f"the daemon got no further for {STALLED_S:g} s; try stripwatch run")


def run_line(
    config: Config,
    source: Source,
    plan: Plan,
    stop: threading.Event,
    on_sent: Callable[[FrameHeader], None] = lambda _: None,
) -> list[Received]:
    """Send a source through a daemon with this configuration; the numbered events it published.

    Endpoints are replaced by fresh ones and inputs by PULL, so that the daemon holds the sender
    back instead of dropping frames. Returns when every frame sent was inspected or missed.

    Raises:
        KeyboardInterrupt: `stop` was set.
        ConfigError, ModelError, DeviceError: the daemon did not start, ended or stands still.
    """
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as folder:
        line = line_config(config, Path(folder))
        path = Path(folder) / "config.toml"
        path.write_text(config_toml(line), encoding="utf-8")
        topics = (*NUMBERED_TOPICS, "status")  # a status shows that all were subscribed to
        endpoint = line.publish.endpoint
        with (
            Subscriber(endpoint, topics, queue_events=QUEUE_EVENTS) as events,
            _daemon(path, config.service.drain_timeout_s + STOP_MARGIN_S) as daemon,
        ):
            progress = _Progress(stop, daemon)
            while not isinstance(events.receive(POLL_S), Status):
                progress.check(None)
            link = Link(endpoint=line.inputs[0].endpoint, pattern="push")
            with _sending(source, link, plan, on_sent) as sending:
                collected = _collect(events, sending, progress)
            if events.missed or events.malformed:
                raise DeviceError(
                    f"{events.missed} events were lost on their way and {events.malformed} "
                    "malformed; the comparison would not be whole"
                )
    return collected


def line_config(config: Config, folder: Path) -> Config:
    """A configuration whose endpoints are fresh and lie in `folder`."""
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
        service=replace(config.service, log_level="warning"),
    )


def config_toml(config: Config) -> str:
    """A configuration as the text of a config.toml."""
    return "\n".join(_toml_lines(msgspec.to_builtins(config), ""))


def _toml_lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """Plain keys first: behind a [section] they would belong to it."""
    for key, value in table.items():
        if value is not None and not _is_section(value):
            yield f"{key} = {json.dumps(value)}"  # TOML writes these values as JSON does
    for key, value in table.items():
        if isinstance(value, dict):
            yield f"[{path}{key}]"
            yield from _toml_lines(value, f"{path}{key}.")
        elif _is_section(value):
            for entry in value:
                yield f"[[{path}{key}]]"
                yield from _toml_lines(entry, f"{path}{key}.")


def _is_section(value: object) -> bool:
    items = value if isinstance(value, list | tuple) else (value,)
    return any(isinstance(item, dict) for item in items)


@contextmanager
def _daemon(config: Path, stop_timeout_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is stopped at the end."""
    command = [sys.executable, "-m", "stripwatch", "run", str(config)]
    # A session of its own: Ctrl-C on the terminal reaches us, and we stop it.
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield daemon
    finally:
        end_process(daemon, stop_timeout_s)


class _Sending:
    """How far the sending thread has come."""

    def __init__(self) -> None:
        self._trackers: dict[str, SequenceTracker] = {}
        self.last_seqs: dict[str, tuple[str, int]] = {}  # session and frame number, by camera
        self.done = False
        self.error: BaseException | None = None

    def note(self, header: FrameHeader) -> None:
        """Take note of a frame that was sent.

        One that the daemon drops as late was counted before; it is not the last to wait for, even
        where a recording ends with it.
        """
        tracker = self._trackers.setdefault(header.camera, SequenceTracker())
        if not tracker.is_late(header):
            tracker.accept(header)
            self.last_seqs[header.camera] = (header.session, header.seq)


@contextmanager
def _sending(
    source: Source, link: Link, plan: Plan, on_sent: Callable[[FrameHeader], None]
) -> Iterator[_Sending]:
    """Send in a thread, so that events are taken in meanwhile."""
    outcome = _Sending()
    stop = threading.Event()

    def note(header: FrameHeader) -> None:
        outcome.note(header)
        on_sent(header)

    def send() -> None:
        try:
            send_frames(source, link, plan, stop, on_sent=note)
            outcome.done = True
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            outcome.error = error

    thread = threading.Thread(target=send, name="send")
    thread.start()
    try:
        yield outcome
    finally:
        stop.set()
        thread.join()


def _collect(events: Subscriber, sending: _Sending, progress: _Progress) -> list[Received]:
    """The numbered events, until all that was sent is accounted for."""
    collected: list[Received] = []
    last_seqs: dict[str, tuple[str, int]] = {}
    while True:
        received = events.receive_message(POLL_S)
        if sending.error is not None:
            raise sending.error
        if received is None:
            progress.check(last_seqs)
        elif isinstance(received.event, Status):
            cameras = received.event.cameras.items()
            last_seqs = {name: (entry.session, entry.last_frame_seq) for name, entry in cameras}
            progress.check(last_seqs)
            if sending.done and last_seqs == sending.last_seqs:
                return collected
        else:
            collected.append(received)
