"""`stripwatch events`: the events that a daemon publishes, as text or as JSON lines."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from stripwatch.cli.address import add_address
from stripwatch.client.subscriber import NUMBERED_TOPICS, FrameImage, Received, Subscriber
from stripwatch.config import Attach, load_config
from stripwatch.errors import ExitCode
from stripwatch.net.peer import peer_endpoint
from stripwatch.service.signals import stop_on_signals
from stripwatch.view.event_text import format_event
from stripwatch.view.overlay_writer import OverlayWriter
from stripwatch.wire.event import Defect

LAST_IMAGE_S = 1.0  # wait after the last event
POLL_S = 0.1  # longest wait for an event, so that a stop is seen


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "events",
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
        metavar="PREFIX",
        help="for example defect.top, gap, status; may be given more than once "
        f"(default: {', '.join(NUMBERED_TOPICS)})",
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
    parser.set_defaults(command=_events)


def _events(args: argparse.Namespace) -> ExitCode:
    endpoint: str = args.endpoint
    attach: Attach = "connect"
    if args.config:
        publish = load_config(args.config).publish
        endpoint, attach = peer_endpoint(publish.endpoint, publish.attach)
    topics = tuple(args.topic or NUMBERED_TOPICS)
    writer = OverlayWriter(args.save_overlays) if args.save_overlays else None
    if writer:
        topics = tuple(dict.fromkeys((*topics, "defect", "image")))
    show = _show_json if args.json else partial(_show_line, Console(highlight=False))
    with stop_on_signals() as stop, Subscriber(endpoint, topics, attach=attach) as events:
        show_events(events, show, stop, writer, count=args.count, duration_s=args.duration)
        sys.stderr.write(_faults(events, writer))
    return ExitCode.OK


def show_events(
    events: Subscriber,
    show: Callable[[Received], None],
    stop: threading.Event,
    writer: OverlayWriter | None = None,
    *,
    count: int | None = None,
    duration_s: float | None = None,
) -> None:
    """Show events, and write overlays, until `stop`, `count` events or `duration_s`.

    Images are not shown and not counted.

    Raises:
        StorageError: an overlay cannot be written.
    """
    shown = 0
    for received in _until(events, stop, duration_s):
        if not isinstance(received.event, FrameImage):
            show(received)
            shown += 1
        if writer:
            _draw(writer, received)
        if count and shown >= count:
            break
    if writer and writer.waiting:  # the image of the last frame comes after its defects
        for received in _until(events, stop, LAST_IMAGE_S):
            _draw(writer, received)
            if not writer.waiting or not isinstance(received.event, FrameImage | Defect):
                break


def _until(
    events: Subscriber, stop: threading.Event, duration_s: float | None
) -> Iterator[Received]:
    until_s = None if duration_s is None else time.monotonic() + duration_s
    while not stop.is_set() and (until_s is None or time.monotonic() < until_s):
        received = events.receive_message(POLL_S)
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
    if events.malformed:
        rows.append(f"{events.malformed} messages were not events; the last: {events.last_fault}")
    if writer:
        rows.append(f"{writer.written} overlays written")
        if writer.without_image:
            rows.append(f"{writer.without_image} frames with defects came without their image")
        if writer.malformed:
            rows.append(f"{writer.malformed} images or masks could not be decoded")
    return "".join(f"{row}\n" for row in rows)
