"""Options that say which daemon a command works with."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from stripwatch.config.errors import ENDPOINT_PATTERN, PATTERN_WORDS
from stripwatch.config.sections import Config
from stripwatch.net.curve import ClientCurve, client_curve, client_curve_of


def add_address(parser: argparse.ArgumentParser, config_help: str, endpoint_help: str) -> None:
    """Add `--config FILE` and `--endpoint ADDRESS`, of which exactly one must be given."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--config", type=Path, metavar="CONFIG.TOML", help=config_help)
    group.add_argument("--endpoint", type=endpoint, metavar="ADDRESS", help=endpoint_help)


def add_key(parser: argparse.ArgumentParser) -> None:
    """Add `--key FILE`."""
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="secret key, where the daemon uses CURVE (with --config: the daemon's own)",
    )


def curve_of(key_file: Path | None, config: Config | None) -> ClientCurve | None:
    """The end of a client of the daemon that `--config` names, or `--endpoint`.

    Raises:
        ConfigError: the key cannot be read or used.
    """
    if config is not None:
        return client_curve_of(config.security, key_file)
    return client_curve(key_file) if key_file else None


def endpoint(text: str) -> str:
    """An endpoint from the command line, by the rule of the configuration.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if not re.match(ENDPOINT_PATTERN, text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {PATTERN_WORDS[ENDPOINT_PATTERN]}")
    return text
