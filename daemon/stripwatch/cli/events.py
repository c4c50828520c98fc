"""`stripwatch events`: the events that a daemon publishes, as text or as JSON lines."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypedDict

from rich.console import Console

from stripwatch.cli.address import add_address, add_key, curve_of, endpoint
from stripwatch.cli.topics import check_cameras, topic_prefix
from stripwatch.client.messages import FrameImage, Received
from stripwatch.client.resends import Start
from stripwatch.client.subscriber import STRIP_TOPICS, Subscriber
from stripwatch.config.load import load_config
from stripwatch.config.sections import Attach
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.net.peer import peer_endpoint
from stripwatch.service.signals import stop_on_signals
from stripwatch.view.event_text import format_event
from stripwatch.view.overlay_writer import OverlayWriter
from stripwatch.wire.event import Defect, Status

SILENT_S = 3.0  # without a status, of which a daemon publishes one each second
LAST_IMAGE_S = 1.0  # wait after the last event
POLL_S = 0.1  # longest wait for an event, so that a stop is seen


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "events",
        allow_abbrev=False,
        help="show the events that a daemon publishes",
        description="Show the events that a daemon publishes, until Ctrl-C or a limit.",
    )
    add_address(
        parser,
        config_help="of the daemon, on this machine",
        endpoint_help="of the daemon's events, for example tcp://HOST:5551",
    )
    parser.add_argument(
        "--topic",
        action="append",
        type=topic_prefix,
        metavar="PREFIX",
        help="for example defect.top, gap, status; may be given more than once "
        f"(default: {', '.join(STRIP_TOPICS)})",
    )
    parser.add_argument("--json", action="store_true", help="JSON lines, exactly as published")
    parser.add_argument("--count", type=int, metavar="N", help="stop after N events")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="stop after this time")
    parser.add_argument(
        "--save-overlays",
        type=Path,
        metavar="FOLDER",
        help="write a PNG of every frame with defects, with masks and labels drawn in",
    )
    add_key(parser)
    group = parser.add_argument_group("events of the journal")
    group.add_argument(
        "--since", type=int, metavar="SEQ", help="begin after event number SEQ; 0: with the oldest"
    )
    group.add_argument(
        "--reader",
        metavar="NAME",
        help="go on where the reader NAME was, and keep its place with the daemon",
    )
    group.add_argument(
        "--requests",
        type=endpoint,
        metavar="ADDRESS",
        help="with --endpoint: of the daemon's requests, for example tcp://HOST:5552",
    )
    parser.set_defaults(command=_events)


def _events(args: argparse.Namespace) -> ExitCode:
    address: str = args.endpoint
    requests: str | None = args.requests
    attach: Attach = "connect"
    topics = tuple(args.topic or STRIP_TOPICS)
    config = load_config(args.config) if args.config else None
    if config is not None:
        check_cameras(topics, [camera.name for camera in config.cameras])
        address, attach = peer_endpoint(config.publish.endpoint, config.publish.attach)
        if config.requests and requests is None:
            requests, _ = peer_endpoint(config.requests.endpoint, "bind")
    place = _place(requests, args.reader, args.since)
    curve = curve_of(args.key, config)
    writer = OverlayWriter(args.save_overlays) if args.save_overlays else None
    with_status = any("status".startswith(topic) for topic in topics)
    topics = tuple(dict.fromkeys((*topics, *(("defect", "image") if writer else ()), "status")))
    show = _show_json if args.json else partial(_show_line, Console(highlight=False))
    silence = Silence(address)
    subscriber = Subscriber(address, topics, attach=attach, curve=curve, **place)
    with stop_on_signals() as stop, subscriber as events:
        show_events(
            events,
            show,
            stop,
            writer,
            silence=silence,
            with_status=with_status,
            count=args.count,
            duration_s=args.duration,
        )
        if args.reader:
            events.acknowledge()  # also the one that was shown last
        sys.stderr.write(_faults(events, writer))
    ended_in_silence = args.duration and args.duration >= SILENT_S and not silence.ever_heard
    return ExitCode.ADDRESS if ended_in_silence and not stop.is_set() else ExitCode.OK


class _PlaceOptions(TypedDict, total=False):
    """What the subscriber is told about the place to begin at."""

    requests: str
    reader: str
    start: Start


def _place(requests: str | None, reader: str | None, since: int | None) -> _PlaceOptions:
    """Options of a subscriber that asks the journal; none where nothing is asked of it.

    Raises:
        ConfigError: it is not known where to ask.
    """
    if reader is None and since is None:
        return {}
    if requests is None:
        raise ConfigError(
            "--since and --reader ask the daemon for events: give --requests ADDRESS, or --config "
            "of a daemon with a section [requests]"
        )
    options: _PlaceOptions = {"requests": requests}
    if reader is not None:
        options["reader"] = reader
    if since is not None:
        options["start"] = since or "beginning"
    return options


class Silence:
    """Prints that no daemon is heard: a running one publishes its status each second."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._since_s = time.monotonic()
        self._printed = False
        self.ever_heard = False

    def note(self, *, heard: bool) -> None:
        """Note that something was received, or that nothing was for a moment."""
        now_s = time.monotonic()
        if heard:
            if self._printed:
                sys.stderr.write(f"a daemon is heard again at {self._endpoint}\n")
            self._since_s, self._printed, self.ever_heard = now_s, False, True
        elif not self._printed and now_s - self._since_s >= SILENT_S:
            self._printed = True
            sys.stderr.write(
                f"no daemon has been heard at {self._endpoint} for {SILENT_S:g} s; check that "
                "stripwatch run is running, that its publish.endpoint is this address, and, where "
                "it uses CURVE, that --key names a key that was granted the events; "
                "still listening\n"
            )


def show_events(
    events: Subscriber,
    show: Callable[[Received], None],
    stop: threading.Event,
    writer: OverlayWriter | None = None,
    *,
    silence: Silence,
    with_status: bool,
    count: int | None = None,
    duration_s: float | None = None,
) -> None:
    """Show events, and write overlays, until `stop`, `count` events or `duration_s`.

    Images are not shown and not counted, nor is a status unless `with_status`.

    Raises:
        StorageError: an overlay cannot be written.
    """
    shown = 0
    for received in _until(events, stop, duration_s, silence):
        hidden = FrameImage if with_status else FrameImage | Status
        if not isinstance(received.event, hidden):
            show(received)
            shown += 1
        if writer:
            _draw(writer, received)
        if count and shown >= count:
            break
    if writer and writer.waiting:  # the image of the last frame comes after its defects
        for received in _until(events, stop, LAST_IMAGE_S, silence):
            _draw(writer, received)
            if not writer.waiting or not isinstance(received.event, FrameImage | Defect | Status):
                break


def _until(
    events: Subscriber, stop: threading.Event, duration_s: float | None, silence: Silence
) -> Iterator[Received]:
    until_s = None if duration_s is None else time.monotonic() + duration_s
    while not stop.is_set() and (until_s is None or time.monotonic() < until_s):
        malformed = events.malformed
        received = events.receive_message(POLL_S)
        silence.note(heard=received is not None or events.malformed > malformed)
        if received is not None:
            yield received


def _draw(writer: OverlayWriter, received: Received) -> None:
    if isinstance(received.event, FrameImage):
        writer.add_image(received.event)
    elif isinstance(received.event, Defect):
        writer.add_defect(received.event)


def _show_json(received: Received) -> None:
    sys.stdout.write(received.payload.decode() + "\n")
    sys.stdout.flush()


def _show_line(console: Console, received: Received) -> None:
    if not isinstance(received.event, FrameImage):
        console.print(format_event(received.event), soft_wrap=True)


def _faults(events: Subscriber, writer: OverlayWriter | None) -> str:
    """Losses and faults as text; usually empty."""
    rows = []
    if events.missed:
        rows.append(f"{events.missed} events were published and not received")
    if events.requests_fault:
        rows.append(events.requests_fault)
    if events.malformed:
        rows.append(f"{events.malformed} messages were not events; the last: {events.last_fault}")
    if writer:
        rows.append(f"{writer.written} overlays written")
        if writer.without_image:
            rows.append(f"{writer.without_image} frames with defects came without their image")
        if writer.malformed:
            rows.append(f"{writer.malformed} images or masks could not be decoded")
    return "".join(f"{row}\n" for row in rows)
