"""`stripwatch camera fake`: a line-scan camera in software, on this computer."""

from __future__ import annotations

import argparse
import sys

from stripwatch.errors import ConfigError, ExitCode


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "fake",
        allow_abbrev=False,
        help="serve a strip as a GigE Vision line-scan camera on this computer",
        description="Be a GigE Vision line-scan camera with an encoder until Ctrl-C, for trying "
        "and testing without hardware: any GigE Vision program can connect. The first 16384 lines "
        "of the source are repeated. Where the computer is too slow, the strip slows down.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        default="synthetic",
        help="folder of images, image, video, recording (.mcap), or: synthetic (%(default)s)",
    )
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="a further fake camera takes 127.0.0.2, and so on (%(default)s)",
    )
    parser.add_argument("--serial", default="F001", help="(%(default)s)")
    parser.add_argument(
        "--motion",
        default="25600",
        metavar="LINES",
        help="lines per second of the strip, or legs of lines per second x seconds that repeat, "
        "such as 25600x10,0x3,12800x5 (%(default)s)",
    )
    parser.add_argument(
        "--lose", type=float, default=0.0, metavar="N", help="lose N packets in a thousand"
    )
    parser.add_argument(
        "--no-resend", action="store_true", help="send no packet again that is asked for"
    )
    parser.add_argument("--seed", type=int, default=0, help="of strip and loss (%(default)s)")
    parser.add_argument(
        "--first-frame-id", type=int, default=1, metavar="N", help="1 to 65535 (%(default)s)"
    )
    parser.add_argument(
        "--embed-count",
        action="store_true",
        help="write the encoder's count over the first 4 pixels of each frame, big-endian",
    )
    parser.add_argument(
        "--heartbeat-ms",
        type=int,
        default=3000,
        metavar="MS",
        help="free the camera of a program that is silent for so long (%(default)s)",
    )
    parser.set_defaults(command=_fake)


def _fake(args: argparse.Namespace) -> ExitCode:
    from stripwatch.camera.fake.motion import parse_motion
    from stripwatch.camera.fake.server import FakeCamera, FakeOptions
    from stripwatch.feed.sources import open_source
    from stripwatch.service.signals import stop_on_signals

    _check(args)
    options = FakeOptions(
        address=args.address,
        serial=args.serial,
        motion=parse_motion(args.motion),
        lost_per_1000=args.lose,
        can_resend=not args.no_resend,
        seed=args.seed,
        first_frame_id=args.first_frame_id,
        embeds_count=args.embed_count,
        heartbeat_ms=args.heartbeat_ms,
    )
    source = open_source(args.source, seed=args.seed, frame_count=None)
    with stop_on_signals() as stop, FakeCamera(options, source) as camera:
        sys.stderr.write(
            f"camera stripwatch-LineScan-{args.serial} at {args.address}; Ctrl-C ends it\n"
        )
        camera.run(stop)
        sys.stderr.write(f"{camera.frames_sent} frames sent\n")
    return ExitCode.OK


def _check(args: argparse.Namespace) -> None:
    if not 0 <= args.lose <= 1000:
        raise ConfigError(f"--lose {args.lose:g}: give packets in a thousand, 0 to 1000")
    if not 1 <= args.first_frame_id <= 65535:
        raise ConfigError(f"--first-frame-id {args.first_frame_id}: give 1 to 65535")
    if not args.serial.isascii() or not 1 <= len(args.serial) <= 15:
        raise ConfigError(f"--serial {args.serial!r}: give 1 to 15 ASCII characters")
    if not 100 <= args.heartbeat_ms <= 60_000:
        raise ConfigError(f"--heartbeat-ms {args.heartbeat_ms}: give 100 to 60000")
