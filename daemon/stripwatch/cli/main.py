"""`stripwatch`: the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from stripwatch._version import __version__
from stripwatch.cli import bench, check, demo, events, init, record, reload, replay, run
from stripwatch.errors import ExitCode
from stripwatch.service.completion import add_completion
from stripwatch.service.exits import guarded


def make_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="stripwatch",
        allow_abbrev=False,  # an abbreviation would change its meaning with the next flag
        description="Inspect moving steel strip: frames in over ZeroMQ, defect events out.",
    )
    parser.add_argument("--version", action="version", version=f"stripwatch {__version__}")
    add_completion(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (run, init, check, reload, demo, replay, record, events, bench):
        module.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> ExitCode:
    args = make_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], ExitCode] = args.command
    return command(args)
