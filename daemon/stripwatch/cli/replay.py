"""`stripwatch replay`: sends frames as cameras do, or runs a daemon over them and compares."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from stripwatch.cli.address import add_address, add_key, curve_of
from stripwatch.cli.flaws import add_flaws, flaws
from stripwatch.cli.sending_progress import sending_progress
from stripwatch.client.event_file import load_events
from stripwatch.client.messages import Received
from stripwatch.config.load import load_config
from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.feed.link import Link, link_to
from stripwatch.feed.pace import Pace
from stripwatch.feed.sender import Schedule, send_frames
from stripwatch.feed.sources import Source, open_source
from stripwatch.feed.sources.choose import SYNTHETIC_FRAMES
from stripwatch.files import write_whole
from stripwatch.lab.compare.daemon_run import run_daemon
from stripwatch.lab.compare.event_diff import compare_events
from stripwatch.lab.compare.report import comparison_json, print_comparison
from stripwatch.service.signals import stop_on_signals
from stripwatch.wire.event import StripEvent
from stripwatch.wire.names import CameraName, StripId

PUB_FRAMES_PER_S = 10.0  # slow enough for most machines; a daemon drops what is too fast
DEFAULT_CAMERA = "top"

_ALLOWED = {
    "--camera": "1 to 32 of the characters a-z 0-9 _ -",
    "--strip": "1 to 64 printable ASCII characters",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "replay",
        allow_abbrev=False,
        help="send images, a video, a recording or the synthetic strip as cameras do",
        description=(
            "Send frames as cameras do. With --expect or --write-events: start another daemon "
            "with this configuration, send it every frame, stop it, and compare its events with "
            "a file, or write them into one."
        ),
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder of images, image, video, recording (.mcap), or: synthetic",
    )
    add_address(
        parser,
        config_help="of the daemon: send to its first input",
        endpoint_help="send here, for example tcp://127.0.0.1:5550",
    )
    parser.add_argument(
        "--pattern",
        choices=("pub", "push"),
        default="pub",
        help="with --endpoint: pub for an input of pattern sub, push for pull (%(default)s)",
    )
    parser.add_argument(
        "--attach",
        choices=("connect", "bind"),
        default="connect",
        help="with --endpoint: the opposite of the input's (%(default)s)",
    )
    add_key(parser)
    parser.add_argument(
        "--camera",
        action="append",
        metavar="NAME",
        help="each sends all frames; of a recording: only these "
        f"(default: the config's first, or {DEFAULT_CAMERA}; of a recording: all)",
    )
    _add_pace(parser)
    _add_frames(parser)
    parser.add_argument("--strip", metavar="ID", help="coil id (default: the source's name)")
    parser.add_argument(
        "--keep-headers",
        action="store_true",
        help="send recorded headers unchanged; else session and time are new",
    )
    parser.add_argument(
        "--expect", type=Path, metavar="EVENTS.JSONL", help="compare the events with this file"
    )
    parser.add_argument("--json", action="store_true", help="with --expect: print JSON, no table")
    parser.add_argument(
        "--write-events", type=Path, metavar="EVENTS.JSONL", help="write the events into this file"
    )
    parser.set_defaults(command=_replay)


def _add_frames(parser: argparse.ArgumentParser) -> None:
    """Which frames of the source are sent."""
    parser.add_argument("--loop", action="store_true", help="repeat the source until Ctrl-C")
    parser.add_argument("--count", type=int, metavar="N", help="send N frames, then stop")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic strip (%(default)s)")
    add_flaws(parser)
    parser.add_argument(
        "--lose",
        metavar="FIRST-LAST",
        help="number these frames of each camera, from 0, and do not send them, as if they were "
        "lost on the way",
    )
    parser.add_argument(
        "--fit",
        choices=("pad", "tile"),
        help="images of other sizes: pad smaller ones with black at the right, or cut them into "
        "frames as one reads (with --config)",
    )


def _add_pace(parser: argparse.ArgumentParser) -> None:
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="frames per second of each camera, of a recording: of all; 0 = as fast as possible "
        f"(default: {PUB_FRAMES_PER_S:g} for pub, as fast as they are taken for push)",
    )
    pace.add_argument("--recorded-pace", action="store_true", help="of a recording or video")


def _replay(args: argparse.Namespace) -> ExitCode:
    own_daemon = bool(args.expect or args.write_events)
    if own_daemon and (args.endpoint or args.loop):
        raise ConfigError("--expect and --write-events need --config, and cannot go with --loop")
    if args.fit and not args.config:
        raise ConfigError("--fit needs --config, which says how large the frames of the line are")
    if args.json and not args.expect:
        raise ConfigError("--json is for --expect; it prints the differences as JSON")
    expected = load_events(args.expect) if args.expect else []
    config = load_config(args.config) if args.config else None
    cameras = tuple(_named(name, CameraName, "--camera") for name in args.camera or ())
    source = open_source(
        args.source,
        frame_shape=config.line.frame_shape if config else None,
        cameras=cameras,
        seed=args.seed,
        frame_count=None if args.loop else args.count or SYNTHETIC_FRAMES,
        fit=args.fit or "exact",
        flaws=flaws(args, config),
    )
    remark = _print_remark(args.source, source)
    link = _link(args, config)
    schedule = _schedule(args, config, source, "push" if own_daemon else link.pattern)
    if config is not None:
        _check_cameras(config, schedule)
    with stop_on_signals() as stop, sending_progress(source, schedule) as on_sent:
        if not own_daemon:
            link = msgspec.structs.replace(link, curve=curve_of(args.key, config))
            sent = send_frames(source, link, schedule, stop, on_sent=on_sent)
            for camera, entry in sent.items():
                last = f"last number {entry.header.seq}, session {entry.header.session}"
                sys.stderr.write(f"camera {camera}: {entry.frames} frames sent, {last}\n")
            _print_remark(args.source, source, remark)
            return ExitCode.INTERRUPTED if stop.is_set() and not args.loop else ExitCode.OK
        assert config is not None
        received = run_daemon(config, source, schedule, stop, on_sent)
    _print_remark(args.source, source, remark)
    if args.write_events:
        _write_events(args.write_events, received)
    return _report(expected, received, as_json=args.json) if args.expect else ExitCode.OK


def _print_remark(name: str, source: Source, printed: str = "") -> str:
    """Print what could not be read of the source, unless that has been printed."""
    remark = source.remark()
    if remark and remark != printed:
        sys.stderr.write(f"{name}: {remark}\n")
    return remark


def _link(args: argparse.Namespace, config: Config | None) -> Link:
    """The sending end of the configuration's first input, or of the endpoint in the options."""
    if config is not None:
        return link_to(config.inputs[0])
    return Link(endpoint=args.endpoint, pattern=args.pattern, attach=args.attach)


def _schedule(
    args: argparse.Namespace, config: Config | None, source: Source, pattern: str
) -> Schedule:
    default_camera = config.cameras[0].name if config else DEFAULT_CAMERA
    rate = args.rate
    if rate is None and not args.recorded_pace and pattern == "pub":
        rate = PUB_FRAMES_PER_S
    if rate is not None and rate < 0:
        raise ConfigError(f"--rate {rate:g}: give frames per second, or 0 for as fast as possible")
    if args.count is not None and args.count < 1:
        raise ConfigError(f"--count {args.count}: give at least 1")
    return Schedule(
        cameras=source.cameras or tuple(args.camera or (default_camera,)),
        pace=Pace(frames_per_s=rate or None, recorded=args.recorded_pace),
        strip=args.strip and _named(args.strip, StripId, "--strip"),
        loop=args.loop,
        frame_count=args.count,
        keep_headers=args.keep_headers,
        lost=_lost(args.lose),
    )


def _lost(text: str | None) -> range:
    """The numbers of the frames that are not to be sent."""
    if text is None:
        return range(0)
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text, re.ASCII)
    first, last = map(int, found.groups()) if found else (1, 0)
    if first > last:
        raise ConfigError(f"--lose {text!r}: give the first and the last frame: 60-64")
    return range(first, last + 1)


def _named(text: str, kind: object, option: str) -> str:
    try:
        return str(msgspec.convert(text, type=kind))
    except msgspec.ValidationError:
        raise ConfigError(f"{option} {text!r} cannot be sent; give {_ALLOWED[option]}") from None


def _check_cameras(config: Config, schedule: Schedule) -> None:
    known = [camera.name for camera in config.cameras]
    for camera in schedule.cameras:
        if camera not in known:
            raise ConfigError(
                f"camera {camera!r} is not in the configuration, which has: {', '.join(known)}; "
                "add it there, or choose one with --camera"
            )


def _write_events(path: Path, received: list[Received]) -> None:
    replaced = ", in place of those that it held" if path.is_file() else ""
    lines = b"".join(entry.payload + b"\n" for entry in received)
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal
            path.write_bytes(lines)
        else:
            write_whole(path, lines)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{path}: {len(received)} events{replaced}\n")


def _report(expected: list[StripEvent], received: list[Received], *, as_json: bool) -> ExitCode:
    actual = [entry.event for entry in received if isinstance(entry.event, StripEvent)]
    comparison = compare_events(expected, actual)
    if as_json:
        sys.stdout.write(comparison_json(comparison).decode() + "\n")
    else:
        print_comparison(comparison, Console(highlight=False))
    return ExitCode.DIFFERENT if comparison.differences else ExitCode.OK
