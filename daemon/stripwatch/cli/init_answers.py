"""What `stripwatch init` is told by options, and asks for on a terminal."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from stripwatch.config.errors import PATTERN_WORDS
from stripwatch.config.template import Values
from stripwatch.engines.manifest import MANIFEST_NAME, load_manifest
from stripwatch.errors import ConfigError
from stripwatch.wire.names import NAME_PATTERN

T = TypeVar("T")


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Values of a configuration; those that are None stay as they are in the shipped one."""

    cameras: tuple[Values, ...] = ()
    engine: Path | None = None
    frame: tuple[int, int] | None = None  # lines, pixels
    mm_per_line: float | None = None
    mm_per_pixel: float | None = None


def answers_of(args: argparse.Namespace) -> Answers:
    """The answers of the options.

    Raises:
        ConfigError: the frames are not those of the engine.
        ModelError: the engine is damaged.
    """
    return _with_frame_of_engine(
        Answers(
            cameras=tuple(args.camera),
            engine=args.engine,
            frame=args.frame,
            mm_per_line=args.mm_per_line,
            mm_per_pixel=args.mm_per_pixel,
        )
    )


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add an option for each answer."""
    add = parser.add_argument
    add(
        "--camera",
        action="append",
        default=[],
        type=camera,
        metavar="NAME[:SIDE]",
        help="a camera and the side of the strip that it sees, top or bottom; repeat it for more",
    )
    add("--engine", type=Path, metavar="DIR", help="engine folder, there or to be built")
    add("--frame", type=frame, metavar="LINESxPIXELS", help="shape of frames (the engine's)")
    add("--mm-per-line", type=millimetres, metavar="MM", help="strip that passes between lines")
    add("--mm-per-pixel", type=millimetres, metavar="MM", help="width that a pixel sees")


def ask(answers: Answers) -> Answers:
    """The answers with those of a person for what is missing; Enter leaves a value as it is.

    Raises:
        ConfigError: the input ends before the last answer, or as `answers_of`.
        ModelError: as `answers_of`.
    """
    replaced = msgspec.structs.replace
    if not answers.cameras:
        asked = _ask("Cameras, as NAME or NAME:SIDE", "top:top bottom:bottom", _cameras)
        answers = replaced(answers, cameras=asked or ())
    if answers.engine is None:
        asked_folder = _ask("Engine folder", "models/edge/openvino, to be built", Path)
        answers = _with_frame_of_engine(replaced(answers, engine=asked_folder))
    if answers.frame is None:
        answers = replaced(answers, frame=_ask("Frames, as LINESxPIXELS", "256x1600", frame))
    if answers.mm_per_line is None:
        asked_mm = _ask("mm of strip between two lines", "0.5", millimetres)
        answers = replaced(answers, mm_per_line=asked_mm)
    if answers.mm_per_pixel is None:
        asked_mm = _ask("mm across the strip that a pixel sees", "0.625", millimetres)
        answers = replaced(answers, mm_per_pixel=asked_mm)
    return answers


def _with_frame_of_engine(answers: Answers) -> Answers:
    """The same with the frame's shape from the engine, where there is one already.

    Raises:
        ConfigError: another shape was given.
        ModelError: the engine is damaged.
    """
    if answers.engine is None or not (answers.engine / MANIFEST_NAME).exists():
        return answers
    shape = load_manifest(answers.engine).frame_shape
    if answers.frame not in (None, shape):
        raise ConfigError(
            f"{answers.engine} is an engine for frames of {shape[0]}x{shape[1]}; "
            "leave the frame out, or build another engine"
        )
    return msgspec.structs.replace(answers, frame=shape)


def _ask(question: str, default: str, parse: Callable[[str], T]) -> T | None:
    """The answer to a question, asked until it can be read; None for an empty one."""
    while True:
        try:
            text = input(f"{question} [{default}]: ").strip()
        except EOFError:
            raise ConfigError("not all questions were answered; nothing is written") from None
        try:
            return parse(text) if text else None
        except argparse.ArgumentTypeError as error:
            print(error)


def camera(text: str) -> Values:
    """A camera and its side, from `NAME` or `NAME:SIDE`; from below the strip is mirrored.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    name, _, side = text.partition(":")
    if not re.match(NAME_PATTERN, name):
        raise argparse.ArgumentTypeError(f"{name!r}: expected {PATTERN_WORDS[NAME_PATTERN]}")
    if side not in ("", "top", "bottom"):
        raise argparse.ArgumentTypeError(f"{text!r}: a side is top or bottom")
    return {"name": name, "side": side or "top", "mirrored": side == "bottom"}


def _cameras(text: str) -> tuple[Values, ...]:
    return tuple(camera(word) for word in text.split())


def frame(text: str) -> tuple[int, int]:
    """Lines and pixels of a frame, from `LINESxPIXELS`.

    Raises:
        argparse.ArgumentTypeError: it is not that.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected LINESxPIXELS, for example 256x1600")
    return int(match[1]), int(match[2])


def millimetres(text: str) -> float:
    """A length.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        length_mm = float(text)
    except ValueError:
        length_mm = math.nan
    if not 0 < length_mm < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected millimetres, for example 0.5")
    return length_mm
