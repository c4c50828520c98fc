"""The flags of `engine-build`."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import get_args

from stripwatch.engines.identity import RTX_DEFAULT_GPUS
from stripwatch.engines.manifest import Precision
from stripwatch.errors import ConfigError
from stripwatch.service.program_parser import program_parser
from stripwatch.wire.names import SIDE_MAX
from stripwatch_engine.models.composition import (
    GATE_MODE_DEFAULT,
    MIN_AREA_FACTOR_DEFAULT,
    GateMode,
)
from stripwatch_engine.models.model_card import Activation, Fit
from stripwatch_engine.settings import (
    BATCH_DEFAULT,
    CALIBRATION_FRAMES_DEFAULT,
    DEFAULT_PRECISIONS,
    FRAME_SHAPE_DEFAULT,
    SYNTHETIC,
    VERIFY_FRAMES_DEFAULT,
    BuildTarget,
)

DESCRIPTION = """\
Build an inspection engine from segmentation models. NAME.json or model.json, which training writes
beside a model, describes its input, output and classes; flags override it."""


def make_parser() -> argparse.ArgumentParser:
    """The parser, with its flags in groups."""
    parser = program_parser("engine-build", DESCRIPTION)
    add = parser.add_argument
    add(
        "models",
        type=Path,
        nargs="*",
        metavar="MODEL.onnx",
        help="one model; several, which are averaged; or one composition file (.toml)",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="engine folder (default: beside the model)",
    )
    add(
        "--target",
        choices=get_args(BuildTarget),
        default="openvino",
        help="the library that runs the engine (default: %(default)s)",
    )
    add(
        "--precision",
        choices=sorted(get_args(Precision)),
        help="default: "
        + ", ".join(f"{name} for {target}" for target, name in DEFAULT_PRECISIONS.items()),
    )
    add(
        "--frame",
        default="{}x{}".format(*FRAME_SHAPE_DEFAULT),
        metavar="LINESxPIXELS",
        help="shape of the cameras' frames (default: %(default)s)",
    )
    add("--force", action="store_true", help="build although nothing has changed")
    add("--inspect", action="store_true", help="show the engine folders named, build nothing")
    add("--json", action="store_true", help="print manifests as JSON instead of tables")
    _add_composition(parser)
    _add_card(parser)
    _add_tensorrt(parser)
    _add_verification(parser)
    return parser


def parse(given: list[str]) -> argparse.Namespace:
    """Parse a command line; models may stand between flags. Unknown flags end the program."""
    parser = make_parser()
    args, unknown = parser.parse_known_intermixed_args(given)
    if unknown:
        flags = re.findall(r"--[a-z-]+", parser.format_help())
        close = [difflib.get_close_matches(text.partition("=")[0], flags, 1) for text in unknown]
        names = dict.fromkeys(name for names in close for name in names)
        hint = f"; did you mean {' or '.join(names)}?" if names else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return args


def _add_composition(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("several models").add_argument
    add(
        "--class",
        dest="single",
        action="append",
        default=[],
        metavar="ID=MODEL.onnx",
        help="a model that segments only this class; repeat it for more",
    )
    add("--flip", action="store_true", help="average with the mirror image")
    for flag, question in (
        ("--gate", "does the frame have a defect?"),
        ("--classifier", "which classes does the frame have?"),
    ):
        add(
            flag,
            action="append",
            default=[],
            type=Path,
            metavar="MODEL.onnx",
            help=f"classifier: {question} Repeat it for more models, which are averaged",
        )
    add(
        "--gate-mode",
        choices=sorted(get_args(GateMode), reverse=True),
        help="soft: absent classes need a larger area; skip: they are not reported "
        f"(default: {GATE_MODE_DEFAULT})",
    )
    add(
        "--min-area-factor",
        type=float,
        metavar="X",
        help="factor on the minimum area of absent classes in mode soft "
        f"(default: {MIN_AREA_FACTOR_DEFAULT:g})",
    )


def _add_card(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the model's card, instead of its model.json")
    add = group.add_argument
    add("--classes", metavar="A,B,...", help="names, in the order of the output's channels")
    add(
        "--activation",
        choices=get_args(Activation),
        help="applied to the output to give probabilities",
    )
    add(
        "--background",
        action=argparse.BooleanOptionalAction,
        help="the output's first channel is the background, not a class",
    )
    add(
        "--background-last",
        dest="background",
        action="store_const",
        const="last",
        help="the output's last channel is the background, not a class",
    )
    add("--mean", metavar="X[,X,X]", help="mean of the pixels, as 0 to 1")
    add("--std", metavar="X[,X,X]", help="standard deviation of the pixels, as 0 to 1")
    add("--input", metavar="HEIGHTxWIDTH", help="size of the image that the model takes")
    add("--fit", choices=get_args(Fit), help="how a frame of another size becomes that image")
    add("--threshold", metavar="X[,X...]", help="lowest probability of a defect pixel, by class")
    add("--min-area", metavar="N[,N...]", help="pixels of the smallest defect, by class")


def _add_tensorrt(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("tensorrt and tensorrt-rtx").add_argument
    add(
        "--batch",
        metavar="FEWEST:MOST",
        help="frames of one call (default: {}:{})".format(*BATCH_DEFAULT),
    )
    add("--workspace-mib", type=int, metavar="N", help="limit of scratch memory (default: none)")
    add(
        "--capability",
        metavar="X.Y[,X.Y...]",
        help=f"tensorrt-rtx: compute capabilities to build for (default: {RTX_DEFAULT_GPUS})",
    )
    add("--timing-cache", type=Path, metavar="FILE", help="tensorrt: measured kernel times")
    add(
        "--hardware-compatible",
        action="store_true",
        help="tensorrt: runs also on newer GPUs than this one, from 8.0 on; slower",
    )
    add(
        "--version-compatible",
        action="store_true",
        help="tensorrt: runs also with newer versions of TensorRT; slower",
    )


def _add_verification(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("calibration and verification").add_argument
    source = (
        f"images, a video, a recording or {SYNTHETIC} (default: the frames that a composition file "
        f"names; {SYNTHETIC} for models trained on it; else a test pattern)"
    )
    add("--calibration", metavar="SOURCE", help=f"frames for int8 and fp16: {source}")
    add(
        "--calibration-frames",
        type=int,
        metavar="N",
        help=f"number of frames for int8 (default: {CALIBRATION_FRAMES_DEFAULT})",
    )
    add("--verify", metavar="SOURCE", help=f"frames to verify on: {source}")
    add(
        "--verify-frames",
        type=int,
        metavar="N",
        help=f"number of frames to verify on (default: {VERIFY_FRAMES_DEFAULT})",
    )
    add("--dice-min", type=float, metavar="X", help="limit: lowest Dice of a class's masks")
    add("--error-mean-max", type=float, metavar="X", help="limit: largest mean error")
    add("--allow-degraded", action="store_true", help="write the engine even beyond the limits")
    add(
        "--allow-unverified",
        action="store_true",
        help="write the engine even where the frames do not show every class",
    )
    add("--report", type=Path, metavar="DIR", help="draw the worst frames with both masks")


def parse_shape(flag: str, text: str) -> tuple[int, int]:
    """Parse the value of a flag such as `256x1600`; return lines, pixels.

    Raises:
        ConfigError: it has another form, or a side is too large.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise ConfigError(f"{flag} {text!r}: expected LINESxPIXELS, for example 256x1600")
    shape = (int(found[1]), int(found[2]))
    if max(shape) > SIDE_MAX:
        raise ConfigError(f"{flag} {text!r}: at most {SIDE_MAX} lines or pixels")
    return shape
