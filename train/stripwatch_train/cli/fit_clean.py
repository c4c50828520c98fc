"""`fit clean`: a model from clean frames alone, without labels."""

from __future__ import annotations

import argparse
import math
import shlex
import sys

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar
from stripwatch_train.cli.flags import check_outside, class_names, make_folder

CLEAN = "clean"
PER_100_M = 10.0
# By attribute of the arguments: flags of `fit` that say nothing about clean frames.
_OF_RECIPES = {
    "folds": "--folds",
    "teacher": "--teacher",
    "pseudo": "--pseudo",
    "begin_from": "--from",
    "set": "--set",
    "only": "--only",
    "workers": "--workers",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that only `fit clean` has."""
    group = parser.add_argument_group(
        "fit clean", "learn from clean frames without labels; all else is of the class unknown"
    )
    group.add_argument(
        "--line-mm", type=float, metavar="MM", help="length of a scan line along the strip"
    )
    group.add_argument(
        "--false-alarms",
        type=float,
        metavar="N",
        help=f"wanted at most on 100 m of clean strip (default: {PER_100_M:g})",
    )


def refuse_clean_flags(args: argparse.Namespace) -> None:
    """Refuse the flags of `fit clean` for another recipe.

    Raises:
        ConfigError: one is given.
    """
    for flag, value in (("--line-mm", args.line_mm), ("--false-alarms", args.false_alarms)):
        if value is not None:
            raise ConfigError(
                f"{flag}: only `fit clean` has it; thresholds of trained models are chosen by "
                "`tune --aim recall@N/km`"
            )


def run(args: argparse.Namespace) -> ExitCode:
    """Learn from clean frames, and say what the threshold is worth."""
    rate = PER_100_M if args.false_alarms is None else args.false_alarms
    _check(args, rate)
    from stripwatch_train.clean.fit import CleanSettings, fit_clean
    from stripwatch_train.clean.frames import HELD_OUT_SHARE
    from stripwatch_train.runs.run_folder import DEPLOYMENT_NAME

    check_outside(args.output, args.data)
    make_folder(args.output)
    if any(args.output.iterdir()):
        raise ConfigError(f"{args.output}: is not empty; give another --output")
    names = class_names(args)
    words = ("stripwatch-train", "fit", CLEAN, "--line-mm", f"{args.line_mm:g}")
    settings = CleanSettings(
        data=args.data,
        output=args.output,
        line_mm=args.line_mm,
        per_100_m=rate,
        classes=tuple(names) if names else None,
        command=shlex.join([*words, "--false-alarms", f"{rate:g}"]),
    )
    with ProgressBar() as progress:
        report = fit_clean(settings, progress.show)
    for finding in report.findings:
        sys.stderr.write(f"{finding}\n")
    sys.stdout.write(
        f"learned from {report.training_frames} frames; {report.held_out_frames} others, "
        f"{report.held_out_metres:g} m of strip, have {report.alarms} false alarms: "
        f"{report.per_100_m:g} per 100 m (95 % certain: {report.low_per_100_m:g} to "
        f"{report.high_per_100_m:g})\n"
    )
    if report.held_out_metres * rate < 100:
        sys.stdout.write(
            f"{rate:g} per 100 m is less than one on these, so the threshold lies above all that "
            f"they show; to measure this rate give {100 / rate / HELD_OUT_SHARE:.3g} m of clean "
            "strip or more\n"
        )
    sys.stdout.write(
        f"painted flaws found: {report.flaws_found} of {report.flaws_painted}\n"
        f"most unusual of the held-out frames: {', '.join(report.unusual)}; look whether they are "
        "clean, take those that are not away, and fit again\n"
        f"{args.output}: next: engine-build {args.output / DEPLOYMENT_NAME}\n"
    )
    return ExitCode.OK


def _check(args: argparse.Namespace, rate: float) -> None:
    for name, flag in _OF_RECIPES.items():
        if getattr(args, name):
            raise ConfigError(f"{flag}: `fit clean` has nothing to do with it; leave it out")
    if args.accelerator == "gpu":
        raise ConfigError("--accelerator gpu: `fit clean` works on the CPU; leave it out")
    if args.line_mm is None:
        raise ConfigError(
            "fit clean: give --line-mm, the length of a scan line along the strip, as false alarms "
            "are counted on 100 m"
        )
    for flag, value in (("--line-mm", args.line_mm), ("--false-alarms", rate)):
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{flag} {value:g}: give a number above 0")
