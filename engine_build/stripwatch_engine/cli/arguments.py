"""The arguments of `engine-build` as settings."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.errors import ConfigError
from stripwatch_engine.cli.flags import parse_shape
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition, load_composition
from stripwatch_engine.settings import DEFAULT_PRECISIONS, BuildSettings

NAMES = {float: "numbers", int: "whole numbers", str: "names"}


def settings_from(args: argparse.Namespace) -> BuildSettings:
    """Make the settings of a build from its arguments.

    Raises:
        ConfigError: a value is not allowed; the message names the flag.
    """
    target = args.target
    if args.batch and target == "openvino":
        raise ConfigError("--batch: OpenVINO engines take any number of frames; leave it out")
    fields: dict[str, Any] = {
        "composition": _composition(args),
        "card_flags": _card_flags(args),
        "target": target,
        "precision": args.precision or DEFAULT_PRECISIONS[target],
        "frame_shape": parse_shape("--frame", args.frame),
        "capabilities": _listed(args.capability, str, "--capability") or (),
    }
    if args.batch:
        fields["batch"] = _batch(args.batch)
    for name in (
        "hardware_compatible",
        "version_compatible",
        "workspace_mib",
        "calibration",
        "calibration_frames",
        "verify",
        "verify_frames",
        "dice_min",
        "error_mean_max",
    ):
        value = getattr(args, name)
        if value is not None:
            fields[name] = value
    for name in ("calibration_frames", "verify_frames", "workspace_mib"):
        if fields.get(name, 1) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {fields[name]}: expected 1 or more")
    for name in ("dice_min", "error_mean_max"):
        if not math.isfinite(fields.get(name, 0)):
            raise ConfigError(f"--{name.replace('_', '-')} {fields[name]}: expected a number")
    return BuildSettings(**fields)


def _composition(args: argparse.Namespace) -> Composition:
    """The models, from a composition file or from arguments."""
    files = [path for path in args.models if path.suffix.lower() == ".toml"]
    if files:
        _check_alone(args, files[0])
        return load_composition(files[0])
    single: dict[int, tuple[str, ...]] = {}
    for text in args.single:
        number, _, path = text.partition("=")
        if not re.fullmatch(r"[1-8]", number) or not path:
            raise ConfigError(f"--class {text!r}: expected ID=MODEL.onnx, for example 3=c3.onnx")
        single[int(number)] = (*single.get(int(number), ()), path)
    changes = {
        name: value
        for name in ("gate_mode", "min_area_factor")
        if (value := getattr(args, name)) is not None
    }
    if changes and not (args.gate or args.classifier):
        raise ConfigError("--gate-mode and --min-area-factor need --gate or --classifier")
    if not 1 <= changes.get("min_area_factor", 1) <= 1e6:  # as in a composition file
        raise ConfigError(f"--min-area-factor {args.min_area_factor:g}: expected 1 or more")
    return Composition(
        models=tuple(map(str, args.models)),
        class_models=single,
        flip=args.flip,
        gate=tuple(map(str, args.gate)),
        classifier=tuple(map(str, args.classifier)),
        **changes,
    )


def _check_alone(args: argparse.Namespace, file: Path) -> None:
    """Refuse models and flags beside a composition file, which has a key for each of them."""
    for flag, key, given in (
        ("--class", "class_models", args.single),
        ("--flip", "flip", args.flip),
        ("--gate", "gate", args.gate),
        ("--classifier", "classifier", args.classifier),
        ("--gate-mode", "gate_mode", args.gate_mode),
        ("--min-area-factor", "min_area_factor", args.min_area_factor is not None),
    ):
        if given:
            raise ConfigError(
                f"{file} lists all models of the engine and how they work together: set {key} in "
                f"it, and leave out {flag}"
            )
    if len(args.models) > 1:
        raise ConfigError(
            f"{file} lists all models of the engine: add the others to its key models, and name "
            "the file alone"
        )


def _card_flags(args: argparse.Namespace) -> CardFlags:
    """Values of the model card that are given as flags."""
    fields = {
        "classes": _listed(args.classes, str, "--classes"),
        "activation": args.activation,
        "background": args.background,
        "mean": _listed(args.mean, float, "--mean"),
        "std": _listed(args.std, float, "--std"),
        "size": parse_shape("--input", args.input) if args.input else None,
        "fit": args.fit,
        "thresholds": _listed(args.threshold, float, "--threshold"),
        "min_areas_px": _listed(args.min_area, int, "--min-area"),
    }
    if any(value <= 0 for value in fields["std"] or ()):
        raise ConfigError(f"--std {args.std}: expected numbers above 0")
    return msgspec.convert(fields, CardFlags)


def _listed(text: str | None, kind: type, flag: str) -> tuple[Any, ...] | None:
    """Values of a comma-separated list; None = not given."""
    if text is None:
        return None
    wrong = f"{flag} {text!r}: expected {NAMES[kind]} with commas between"
    try:
        values = tuple(kind(part.strip()) for part in text.split(","))
    except ValueError:
        raise ConfigError(wrong) from None
    if kind is float and not all(map(math.isfinite, values)):
        raise ConfigError(wrong)
    return values


def _batch(text: str) -> tuple[int, int]:
    """Fewest and most frames of a call."""
    found = re.fullmatch(r"(\d{1,3}):(\d{1,3})", text)
    fewest, most = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= fewest <= most:
        raise ConfigError(f"--batch {text!r}: expected FEWEST:MOST frames, for example 1:16")
    return (fewest, most)
