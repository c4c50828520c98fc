"""`stripwatch`: the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from stripwatch.cli import (
    audit,
    bench,
    camera,
    check,
    demo,
    events,
    forward,
    frames,
    grade,
    init,
    journal,
    keys,
    page,
    record,
    reload,
    replay,
    report,
    run,
)
from stripwatch.errors import ExitCode
from stripwatch.service.exits import guarded
from stripwatch.service.program_parser import program_parser


def make_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = program_parser(
        "stripwatch", "Inspect moving steel strip: frames in over ZeroMQ, defect events out."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    modules = (run, init, check, reload, demo, replay, record, frames, events, journal, grade)
    for module in (*modules, report, audit, camera, page, forward, keys, bench):
        module.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> ExitCode:
    args = make_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], ExitCode] = args.command
    return command(args)
