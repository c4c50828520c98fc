"""The entry point; each module beside it adds its subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from stripwatch.errors import ExitCode
from stripwatch.service.exits import guarded
from stripwatch_train.cli import data, evaluate, explore, fit, predict, tune


def make_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="stripwatch-train", description="Train segmentation models for stripwatch."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data.add_commands(commands)
    explore.add_commands(commands)
    fit.add_commands(commands)
    evaluate.add_commands(commands)
    tune.add_commands(commands)
    predict.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> ExitCode:
    args = make_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], ExitCode] = args.command
    return command(args)
