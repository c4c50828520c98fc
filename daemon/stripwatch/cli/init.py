"""`stripwatch init`: writes a configuration to begin with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.files import write_whole
from stripwatch.resources import resource_path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "init",
        allow_abbrev=False,
        help="write a configuration to begin with",
        description="Write a configuration with every key and a comment on each. It describes "
        "the line of the demo: change geometry, cameras, addresses and engine.folder.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML")
    parser.set_defaults(command=_init)


def _init(args: argparse.Namespace) -> ExitCode:
    path: Path = args.config
    if path.exists():
        raise ConfigError(f"{path} exists; name a new file")
    try:
        write_whole(path, resource_path("config.toml").read_bytes())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    sys.stdout.write(
        f"{path}: change its values for your line, then check it with: stripwatch check {path}\n"
    )
    return ExitCode.OK
