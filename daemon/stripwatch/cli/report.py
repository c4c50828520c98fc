"""`stripwatch report`: a strip of the journal as a page to print, and its defects as tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stripwatch.cli.stored_strip import add_rules, add_strip, find_strip, grading_of, opened
from stripwatch.errors import ExitCode, StorageError
from stripwatch.files import write_whole
from stripwatch.service.strip_report import strip_report
from stripwatch.view.report.defect_table import defects_csv, defects_parquet


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="write the report of a strip as one HTML page",
        description="Write the report of a strip as one HTML page without external parts, which "
        "prints on A4; and its defects as tables.",
    )
    add_strip(parser)
    add_rules(parser)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE.html", help="the page")
    add("--csv", type=Path, metavar="FILE.csv", help="the whole defects as a table, too")
    add("--parquet", type=Path, metavar="FILE.parquet", help="the same as Parquet (an extra)")
    parser.set_defaults(command=_report)


def _report(args: argparse.Namespace) -> ExitCode:
    with opened(args) as (config, folder, reader):
        grading = grading_of(args, config)
        strip = find_strip(args, config, reader)
    page = strip_report(folder, config, grading, strip, sys.stderr.write)
    _write(args.output, page.encode())
    if args.csv:
        _write(args.csv, defects_csv(strip.record.defects))
    if args.parquet:
        _write(args.parquet, defects_parquet(strip.record.defects))
    return ExitCode.OK


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    sys.stdout.write(f"{path}\n")
