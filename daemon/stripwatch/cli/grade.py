"""`stripwatch grade`: the verdict on a strip of the journal."""

from __future__ import annotations

import argparse
import sys

import msgspec

from stripwatch.cli.stored_strip import add_rules, add_strip, find_strip, grading_of, opened
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.inspect.grading.grade import grade
from stripwatch.view.verdict_text import verdict_text


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "grade",
        allow_abbrev=False,
        help="grade a strip of the journal by rules",
        description="Grade a strip of the journal by the rules of the configuration, or by others: "
        "each rule with its value, limit and places, what to cut out and what is left.",
    )
    add_strip(parser)
    add_rules(parser)
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.set_defaults(command=_grade)


def _grade(args: argparse.Namespace) -> ExitCode:
    with opened(args) as (config, _, reader):
        grading = grading_of(args, config)
        if not grading.rules:
            raise ConfigError(
                f"{args.rules or args.config} has no [[grading.rules]]; docs/grading.md has "
                "examples, and --rules takes them from another file"
            )
        record = find_strip(args, config, reader).record
    verdict = grade(grading, record)
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(verdict), indent=2).decode() + "\n"
    else:
        text = verdict_text(record.strip, verdict)
    sys.stdout.write(text)
    return ExitCode.OK
