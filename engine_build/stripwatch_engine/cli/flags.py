"""The flags of `engine-build`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from stripwatch.errors import ConfigError
from stripwatch.wire.names import SIDE_MAX

DESCRIPTION = """\
Build an inspection engine from segmentation models. NAME.json or model.json, which training writes
beside a model, says what its input, output and classes are; flags say it in its place."""


def make_parser() -> argparse.ArgumentParser:
    """The parser, with its flags in groups."""
    parser = argparse.ArgumentParser(prog="engine-build", description=DESCRIPTION)
    add = parser.add_argument
    add(
        "models",
        type=Path,
        nargs="*",
        metavar="MODEL.onnx",
        help="one; several are averaged; or one composition file (.toml)",
    )
    add("--output", type=Path, metavar="DIR", help="engine folder (default: beside the model)")
    add(
        "--target",
        choices=["openvino", "tensorrt", "tensorrt-rtx"],
        default="openvino",
        help="what runs it (%(default)s)",
    )
    add(
        "--precision",
        choices=["fp16", "fp32", "int8"],
        help="default: fp32 for openvino, fp16 for the others",
    )
    add(
        "--frame",
        default="256x1600",
        metavar="LINESxPIXELS",
        help="shape of the cameras' frames (%(default)s)",
    )
    add("--force", action="store_true", help="build although nothing has changed")
    add("--inspect", action="store_true", help="show what the engine folders named are")
    _add_composition(parser)
    _add_card(parser)
    _add_tensorrt(parser)
    _add_verification(parser)
    return parser


def _add_composition(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("several models").add_argument
    add(
        "--class",
        dest="single",
        action="append",
        default=[],
        metavar="ID=MODEL.onnx",
        help="a model that segments this class alone; again for more",
    )
    add("--flip", action="store_true", help="average with the mirror image")
    for flag, question in (
        ("--gate", "has the frame a defect?"),
        ("--classifier", "of which classes?"),
    ):
        add(
            flag,
            action="append",
            default=[],
            type=Path,
            metavar="MODEL.onnx",
            help=f"classifier: {question} again for more, which are averaged",
        )
    add(
        "--gate-mode",
        choices=["soft", "skip"],
        help="classes judged absent need a larger area, or are not reported (soft)",
    )
    add("--min-area-factor", type=float, metavar="X", help="how much larger in soft mode (5)")


def _add_card(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the model is, in place of its model.json")
    add = group.add_argument
    add("--classes", metavar="A,B,...", help="names, in the order of the output's channels")
    add("--activation", choices=["sigmoid", "softmax", "none"], help="what makes probabilities")
    add(
        "--background",
        action=argparse.BooleanOptionalAction,
        help="the output's first channel is no class",
    )
    add("--mean", metavar="X[,X,X]", help="of pixels as 0 to 1")
    add("--std", metavar="X[,X,X]", help="of pixels as 0 to 1")
    add("--input", metavar="HEIGHTxWIDTH", help="image that the model takes")
    add("--fit", choices=["resize", "pad"], help="how a frame of another size becomes that image")
    add("--threshold", metavar="X[,X...]", help="probability of a defect's pixels, by class")
    add("--min-area", metavar="N[,N...]", help="pixels of the smallest defect, by class")


def _add_tensorrt(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("tensorrt and tensorrt-rtx").add_argument
    add("--batch", metavar="FEWEST:VALUE_LIMIT", help="frames of one call (1:16)")
    add("--workspace-mib", type=int, metavar="N", help="scratch memory (default: all there is)")
    add(
        "--capability",
        metavar="X.Y[,X.Y...]",
        help="tensorrt-rtx: GPUs to build for (default: 8.0 and newer)",
    )
    add("--timing-cache", type=Path, metavar="FILE", help="tensorrt: measured kernel times")
    add(
        "--hardware-compatible",
        action="store_true",
        help="tensorrt: also for newer GPUs than this one, from 8.0 on; slower",
    )
    add("--version-compatible", action="store_true", help="tensorrt: also for newer versions")


def _add_verification(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("calibration and verification").add_argument
    source = "images, a video, a recording or the word synthetic"
    add("--calibration", metavar="SOURCE", help=f"frames for int8 and fp16: {source} (synthetic)")
    add("--calibration-frames", type=int, metavar="N", help="for int8 (64)")
    add("--verify", metavar="SOURCE", help=f"frames to verify on: {source} (synthetic)")
    add("--verify-frames", type=int, metavar="N", help="how many (8)")
    add("--dice-min", type=float, metavar="X", help="limit: least Dice of a class's masks")
    add("--error-mean-max", type=float, metavar="X", help="limit: largest mean error")
    add("--allow-degraded", action="store_true", help="write the engine although it is past them")
    add("--report", type=Path, metavar="DIR", help="draw the worst frames with both masks")


def parse_shape(flag: str, text: str) -> tuple[int, int]:
    """Lines, pixels of what a flag was given, such as `256x1600`.

    Raises:
        ConfigError: it is no such text, or a side is too large.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise ConfigError(f"{flag} {text!r}: expected LINESxPIXELS, for example 256x1600")
    shape = (int(found[1]), int(found[2]))
    if max(shape) > SIDE_MAX:
        raise ConfigError(f"{flag} {text!r}: at most {SIDE_MAX} lines or pixels")
    return shape
