"""The option --roll-mark: a roll with a flaw, over the synthetic strip."""

from __future__ import annotations

import argparse

from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.choose import SYNTHETIC
from stripwatch.synthetic import RollMark

FORM = "PERIOD,ACROSS[,VISIBLE]"


def add_roll_mark(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--roll-mark",
        action="append",
        metavar=FORM,
        help="mark the synthetic strip every PERIOD mm, ACROSS mm from the camera's first pixel; "
        "the share VISIBLE of the marks is seen (1); may be given more than once (with --config)",
    )


def roll_marks(texts: list[str] | None, source: str, config: Config | None) -> tuple[RollMark, ...]:
    """The roll marks that the options ask for.

    Raises:
        ConfigError: one cannot be read, the source is another strip, or the size of a pixel is
            not known.
    """
    if not texts:
        return ()
    if source != SYNTHETIC:
        raise ConfigError(f"--roll-mark is for the source {SYNTHETIC}, not for {source}")
    if config is None:
        raise ConfigError("--roll-mark needs --config, which says how large a pixel is in mm")
    return tuple(_mark(text, config) for text in texts)


def _mark(text: str, config: Config) -> RollMark:
    try:
        period_mm, across_mm, *shares = map(float, text.split(","))
        (visible,) = shares or (1.0,)
    except ValueError:
        raise _wrong(text) from None
    line = config.line
    width_mm = line.frame_pixels * line.mm_per_pixel
    if not (period_mm >= line.mm_per_line and 0 <= across_mm <= width_mm and 0 < visible <= 1):
        raise _wrong(text)
    return RollMark(period_mm / line.mm_per_line, across_mm / line.mm_per_pixel, visible=visible)


def _wrong(text: str) -> ConfigError:
    return ConfigError(
        f"--roll-mark {text!r}: give {FORM}, in mm, on the strip, and a share from 0 to 1: "
        "1885,400 or 1885,400,0.6"
    )
