"""`stripwatch record`: writes the frames that cameras send into an MCAP file."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

from stripwatch.cli.address import add_address
from stripwatch.config.load import load_config
from stripwatch.config.sections import Input
from stripwatch.config.security import exposed, is_exposed
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.recording.recorder import Recorder
from stripwatch.recording.writer import RecordingWriter
from stripwatch.service.signals import stop_on_signals

POLL_MS = 100  # longest wait for a frame, so that a stop is seen


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "record",
        allow_abbrev=False,
        help="record the frames that cameras send into an MCAP file",
        description=(
            "Receive frames at the daemon's inputs and write them into an MCAP file, until Ctrl-C, "
            "SIGTERM, --duration or --frames. Stop the daemon first: it uses the same addresses. "
            "Foxglove shows such a file; `stripwatch replay` sends it again."
        ),
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT.MCAP")
    add_address(
        parser,
        config_help="take inputs, cameras and frame size from here",
        endpoint_help="receive here, for example tcp://127.0.0.1:5550",
    )
    parser.add_argument(
        "--pattern",
        choices=("sub", "pull"),
        default="sub",
        help="with --endpoint: sub for cameras that publish, pull if they push (%(default)s)",
    )
    parser.add_argument(
        "--attach",
        choices=("bind", "connect"),
        default="bind",
        help="with --endpoint: bind where cameras connect, connect where they bind (%(default)s)",
    )
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="stop after this time")
    parser.add_argument("--frames", type=int, metavar="N", help="stop after N frames")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.set_defaults(command=_record)


def _record(args: argparse.Namespace) -> ExitCode:
    cameras: tuple[str, ...] = ()
    frame_shape = None
    security = None
    if args.config:
        config = load_config(args.config)
        cameras = tuple(camera.name for camera in config.cameras)
        frame_shape = config.line.frame_shape
        inputs, security = config.inputs, config.security
    else:
        if args.attach == "bind" and is_exposed(args.endpoint):
            raise ConfigError(exposed(f"--endpoint {args.endpoint}"))
        inputs = (Input(endpoint=args.endpoint, pattern=args.pattern, attach=args.attach),)
    # The sockets first: a recorder that cannot receive leaves no empty file behind.
    recorder = Recorder(inputs, cameras=cameras, frame_shape=frame_shape, security=security)
    try:
        writer = RecordingWriter(args.output, overwrite=args.force)
        try:
            with stop_on_signals() as stop:
                sys.stderr.write(f"recording into {args.output}; Ctrl-C ends it\n")
                record_frames(recorder, writer, stop, args.duration, args.frames)
        finally:
            try:
                writer.close()
            finally:
                sys.stdout.write(summary(recorder, writer))
    finally:
        recorder.close()
    frames = writer.frames.total()
    sys.stdout.write(f"{args.output}: {frames} frames, {writer.bytes_written} bytes\n")
    return ExitCode.OK


def record_frames(
    recorder: Recorder,
    writer: RecordingWriter,
    stop: threading.Event,
    duration_s: float | None,
    frames: int | None,
) -> None:
    """Record until `stop`, until `duration_s` has passed, or until `frames` frames are recorded.

    Raises:
        StorageError: the file cannot be written.
    """
    until_s = None if duration_s is None else time.monotonic() + duration_s
    while not stop.is_set():
        if until_s is not None and time.monotonic() >= until_s:
            return
        if frames is not None and recorder.frames.total() >= frames:
            return
        left = None if frames is None else frames - recorder.frames.total()
        recorder.step(writer, POLL_MS, left)


def summary(recorder: Recorder, writer: RecordingWriter) -> str:
    """Frames in the file and lost by camera, and messages rejected by cause, as text."""
    rows = [
        f"camera {camera}: {writer.frames[camera]} frames recorded, "
        f"{recorder.lost[camera]} lost on the way\n"
        for camera in sorted(recorder.frames)
    ] or ["no frame arrived; check endpoint, pattern and attach, and that the cameras run\n"]
    rows += [
        f"{count} messages not recorded: {cause} (the last: {recorder.fault_of(cause)})\n"
        for cause, count in sorted(recorder.rejected.items())
    ]
    rows += [
        f"{count} connections refused: {cause} (the last: {recorder.fault_of(cause)})\n"
        for cause, count in sorted(recorder.refused.items())
    ]
    return "".join(rows)
