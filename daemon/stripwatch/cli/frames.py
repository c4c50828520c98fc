"""`stripwatch frames`: writes the frames of a recording or video as image files."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.feed.sources import Source, SourceFrame, open_source
from stripwatch.service.console import ProgressBar
from stripwatch.service.signals import stop_on_signals
from stripwatch.wire.frame import BadFrame, frame_pixels

SUFFIX = {"raw": ".png", "png": ".png", "jpeg": ".jpg"}
DAMAGED_SHOWN = 5  # by name; all are counted


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "frames",
        allow_abbrev=False,
        help="write the frames of a recording or video as images",
        description=(
            "Write the frames of a recording or video as image files, to label them or to train on "
            "them. PNG and JPEG frames keep their bytes; others become PNG files."
        ),
    )
    parser.add_argument("source", metavar="SOURCE", help="recording (.mcap), video, or: synthetic")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="new or empty"
    )
    parser.add_argument(
        "--camera", action="append", metavar="NAME", help="of a recording: only these (all)"
    )
    parser.add_argument("--strip", metavar="ID", help="of a recording: only this strip")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="one of N frames of each camera (all)"
    )
    parser.set_defaults(command=_frames)


def _frames(args: argparse.Namespace) -> ExitCode:
    if args.every < 1:
        raise ConfigError(f"--every {args.every}: give at least 1")
    source = open_source(args.source, cameras=tuple(args.camera or ()))
    if args.strip is not None and not source.cameras:
        raise ConfigError(f"--strip is for recordings, and {args.source} is none")
    folder: Path = args.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty; give a new folder")
        with stop_on_signals() as stop, ProgressBar() as progress:
            written, damaged = 0, []
            for name, frame in _chosen(source, args, progress):
                if stop.is_set():
                    break
                try:
                    (folder / name).write_bytes(_image(frame))
                    written += 1
                except BadFrame as error:
                    damaged.append(f"{name}: {error}")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
    _print(args, source, written, damaged)
    return ExitCode.INTERRUPTED if stop.is_set() else ExitCode.OK


def _chosen(
    source: Source, args: argparse.Namespace, progress: ProgressBar
) -> Iterator[tuple[str, SourceFrame]]:
    """The frames that the options name, with the names of their files."""
    seen: Counter[str] = Counter()  # by camera; of the strip, where one is named
    for number, frame in enumerate(source.frames()):
        progress.show(f"frames of {args.source}", number, source.count or 0)
        header = frame.recorded
        if args.strip is not None and (header is None or header.strip != args.strip):
            continue
        camera = header.camera if header else ""
        seen[camera] += 1
        if (seen[camera] - 1) % args.every == 0:
            # Names of one camera and session sort in the order of the strip.
            stem = f"{header.camera}-{header.session}" if header else source.name
            at = header.seq if header else number
            yield f"{stem}-{at:08d}{SUFFIX[frame.codec]}", frame


def _print(args: argparse.Namespace, source: Source, written: int, damaged: list[str]) -> None:
    """Say what was written and what was left out.

    Raises:
        ConfigError: nothing was written, as no frame is of the strip.
    """
    if remark := source.remark():
        sys.stderr.write(f"{args.source}: {remark}\n")
    for line in damaged[:DAMAGED_SHOWN]:
        sys.stderr.write(f"left out {line}\n")
    if len(damaged) > DAMAGED_SHOWN:
        sys.stderr.write(f"left out {len(damaged)} damaged frames in all\n")
    if args.strip is not None and not written and not damaged:
        raise ConfigError(f"{args.source} has no frame of strip {args.strip!r}")
    sys.stdout.write(f"{args.output}: {written} frames\n")


def _image(frame: SourceFrame) -> bytes:
    """The file's bytes.

    Raises:
        BadFrame: the payload is not what the header says.
    """
    header = frame.recorded
    pixels = frame_pixels(header, frame.payload) if header else None  # a damaged one is refused
    if frame.codec != "raw":
        return bytes(frame.payload)
    if pixels is None:
        pixels = np.frombuffer(frame.payload, np.uint8).reshape(frame.shape)
    return cv2.imencode(".png", pixels)[1].tobytes()
