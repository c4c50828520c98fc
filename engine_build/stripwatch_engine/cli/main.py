"""`engine-build`: from trained models to an engine folder that the daemon runs."""

from __future__ import annotations

import argparse
import math
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch.service.exits import guarded
from stripwatch_engine.build import BuildOptions, build
from stripwatch_engine.cli.flags import make_parser, parse_shape
from stripwatch_engine.cli.tables import engine_table, verification_tables
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition, load_composition
from stripwatch_engine.settings import BuildSettings

NAMES = {float: "numbers", int: "whole numbers", str: "names"}


def main(argv: list[str] | None = None) -> int:
    """Build or show an engine and return the exit code."""
    given = sys.argv[1:] if argv is None else argv
    args = make_parser().parse_intermixed_args(given)  # models may stand between flags
    return guarded(lambda: _run(args, given))


def _run(args: argparse.Namespace, given: list[str]) -> ExitCode:
    for text in given:
        if any("\udc80" <= character <= "\udcff" for character in text):  # how Python marks it
            raise ConfigError(f"{text!a} is not UTF-8, as the manifest is; rename it")
    if args.inspect:
        return _inspect(args)
    return _build(args, shlex.join(["engine-build", *given]))


def _inspect(args: argparse.Namespace) -> ExitCode:
    if not args.models:
        raise ConfigError("--inspect: name the engine folders to show")
    console = plain_console()
    for folder in args.models:
        manifest = load_manifest(folder)
        console.print(engine_table(folder, manifest))
        _print_verification(console, manifest)
    return ExitCode.OK


def _build(args: argparse.Namespace, command: str) -> ExitCode:
    started_s = time.monotonic()
    settings = settings_of(args)
    first = Path(next(iter(settings.composition.paths()), "model.onnx"))
    output = args.output or first.with_name(settings.target)
    console = plain_console()
    with ProgressBar() as progress:
        options = BuildOptions(
            command=command,
            timing_cache=args.timing_cache,
            report=args.report,
            allow_degraded=args.allow_degraded,
            force=args.force,
            progress=progress.show,
        )
        outcome = build(settings, output, options)
    if outcome.up_to_date:
        console.print(
            f"{output} is up to date: models, settings and versions are those that it was built "
            "from; --force builds it all the same",
            soft_wrap=True,
        )
        return ExitCode.OK
    manifest = outcome.manifest
    console.print(engine_table(output, manifest, time.monotonic() - started_s, outcome.kept))
    _print_verification(console, manifest)
    for path in outcome.pictures:
        console.print(f"drawn: {path}", soft_wrap=True)
    return ExitCode.OK


def _print_verification(console: Console, manifest: Manifest) -> None:
    if manifest.verification:
        for part in verification_tables(manifest.verification):
            console.print(part, soft_wrap=not isinstance(part, Table))


def settings_of(args: argparse.Namespace) -> BuildSettings:
    """The settings that the flags give.

    Raises:
        ConfigError: a value is not allowed; names the flag.
    """
    target = args.target
    if args.batch and target == "openvino":
        raise ConfigError("--batch: OpenVINO engines take any number of frames; leave it out")
    fields: dict[str, Any] = {
        "composition": _composition(args),
        "card_flags": _card_flags(args),
        "target": target,
        "precision": args.precision or ("fp32" if target == "openvino" else "fp16"),
        "frame_shape": parse_shape("--frame", args.frame),
        "batch": _batch(args.batch or "1:16"),
        "capabilities": _listed(args.capability, str, "--capability") or (),
    }
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
    files = [path for path in args.models if path.suffix == ".toml"]
    if files:
        more = (args.gate, args.classifier, args.single, args.flip, args.gate_mode)
        if len(args.models) > 1 or any(more) or args.min_area_factor is not None:
            raise ConfigError(
                f"{files[0]} says what the engine is made of; change it there and "
                "name nothing beside it"
            )
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
    if not 1 <= changes.get("min_area_factor", 1) <= 1e6:  # what a composition file may say
        raise ConfigError(f"--min-area-factor {args.min_area_factor:g}: expected 1 or more")
    return Composition(
        models=tuple(map(str, args.models)),
        class_models=single,
        flip=args.flip,
        gate=tuple(map(str, args.gate)),
        classifier=tuple(map(str, args.classifier)),
        **changes,
    )


def _card_flags(args: argparse.Namespace) -> CardFlags:
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
    """The values of a comma-separated list."""
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
    found = re.fullmatch(r"(\d{1,3}):(\d{1,3})", text)
    least, most = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= least <= most:
        raise ConfigError(f"--batch {text!r}: expected FEWEST:VALUE_LIMIT frames, for example 1:16")
    return (least, most)
