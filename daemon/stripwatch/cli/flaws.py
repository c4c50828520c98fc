"""The options --roll-mark and --scratch: flaws that one asks for on the synthetic strip."""

from __future__ import annotations

import argparse
import math

from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.choose import SYNTHETIC
from stripwatch.feed.sources.synthetic import Flaws
from stripwatch.synthetic import RollMark, Scratch, straight_scratch

MARK_FORM = "PERIOD,ACROSS[,VISIBLE]"
SCRATCH_FORM = "FIRST,LENGTH,ACROSS"
LENGTH_MM_MAX = 1e9


def add_flaws(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--roll-mark",
        action="append",
        metavar=MARK_FORM,
        help="mark the synthetic strip every PERIOD mm, ACROSS mm from the camera's first pixel; "
        "the share VISIBLE of the marks is seen (1); may be given more than once (with --config)",
    )
    parser.add_argument(
        "--scratch",
        action="append",
        metavar=SCRATCH_FORM,
        help="scratch the synthetic strip along LENGTH mm from FIRST mm on, ACROSS mm from the "
        "camera's first pixel; may be given more than once (with --config)",
    )


def flaws(args: argparse.Namespace, config: Config | None) -> Flaws:
    """The flaws that the options ask for.

    Raises:
        ConfigError: one cannot be read, the source is another strip, or the size of a pixel is
            not known.
    """
    for option, texts in (("--roll-mark", args.roll_mark), ("--scratch", args.scratch)):
        if texts and args.source != SYNTHETIC:
            raise ConfigError(f"{option} is for the source {SYNTHETIC}, not for {args.source}")
        if texts and config is None:
            raise ConfigError(f"{option} needs --config, which says how large a pixel is in mm")
    if config is None:
        return Flaws()
    return Flaws(
        roll_marks=tuple(_mark(text, config) for text in args.roll_mark or ()),
        scratches=tuple(_scratch(text, config) for text in args.scratch or ()),
    )


def _mark(text: str, config: Config) -> RollMark:
    line = config.line
    period_mm, across_mm, visible = _numbers(f"{text},1" if text.count(",") == 1 else text)
    if not (period_mm >= line.mm_per_line and _is_on(config, across_mm) and 0 < visible <= 1):
        raise ConfigError(
            f"--roll-mark {text!r}: give {MARK_FORM}, in mm, on the strip, and a share from 0 to "
            "1: 1885,400 or 1885,400,0.6"
        )
    return RollMark(period_mm / line.mm_per_line, across_mm / line.mm_per_pixel, visible=visible)


def _scratch(text: str, config: Config) -> Scratch:
    line = config.line
    first_mm, length_mm, across_mm = _numbers(text)
    is_along = 0 <= first_mm <= LENGTH_MM_MAX and line.mm_per_line <= length_mm <= LENGTH_MM_MAX
    if not (is_along and _is_on(config, across_mm)):
        raise ConfigError(
            f"--scratch {text!r}: give {SCRATCH_FORM}, in mm, on the strip: 2000,5000,300"
        )
    return straight_scratch(
        round(first_mm / line.mm_per_line),
        round(length_mm / line.mm_per_line),
        across_mm / line.mm_per_pixel,
    )


def _numbers(text: str) -> tuple[float, float, float]:
    """Three numbers between commas; those of a text that has none compare with nothing."""
    try:
        first, second, third = map(float, text.split(","))
    except ValueError:
        return math.nan, math.nan, math.nan
    return first, second, third


def _is_on(config: Config, across_mm: float) -> bool:
    return 0 <= across_mm <= config.line.frame_pixels * config.line.mm_per_pixel
