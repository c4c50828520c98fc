"""`stripwatch journal prune`: remove the oldest events now, while no daemon runs."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import closing

import structlog
from structlog.typing import FilteringBoundLogger

from stripwatch.cli.journal_folder import add_folder, journal_folder
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.journal.lock import is_locked
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.retention import Limits, Retention
from stripwatch.journal.store import LOCK_FILE, Journal
from stripwatch.service.console import ProgressBar


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "prune",
        allow_abbrev=False,
        help="remove the oldest events now",
        description="Remove the oldest events beyond a limit, while no daemon runs: a running "
        "daemon does so by itself. What a named reader has not read stays.",
    )
    add_folder(parser)
    add = parser.add_argument
    add("--days", type=_positive, metavar="N", help="keep events of the last N days")
    add("--gigabytes", type=_positive, metavar="N", help="keep at most N gigabytes")
    add(
        "--compact",
        action="store_true",
        help="also give the space back to the disk; needs as much free space as remains in use",
    )
    parser.set_defaults(command=_prune)


def _prune(args: argparse.Namespace) -> ExitCode:
    if args.days is None and args.gigabytes is None and not args.compact:
        raise ConfigError("give a limit: --days N, --gigabytes N, or both; or --compact alone")
    folder = journal_folder(args)
    JournalReader(folder).close()  # says what is wrong with it before anything is made anew
    if is_locked(folder / LOCK_FILE):
        raise ConfigError(
            f"a daemon runs with the journal in {folder}, and removes by itself what is beyond "
            "journal.gigabytes_max and journal.days_max; change those and restart it, or stop it "
            "first"
        )
    limits = Limits(
        math.inf if args.gigabytes is None else args.gigabytes * 1e9,
        math.inf if args.days is None else args.days * 86400e9,
        math.inf,
    )
    with closing(Journal(folder)) as journal, ProgressBar() as progress:
        before = journal.extent()
        retention = Retention(journal, limits, _log())
        while retention.turn():
            removed = journal.extent().first_seq - before.first_seq
            progress.show(f"removing, {removed} events", 0, 0)
        if args.compact:
            progress.show("compacting", 0, 0)
            journal.compact()
        after = journal.extent()
    removed = before.events - after.events
    sys.stdout.write(f"{folder}: {removed} events removed, {after.events} kept\n")
    return ExitCode.OK


def _log() -> FilteringBoundLogger:
    """Readers that removal waits for are named on standard error."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
    )
    return logger


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number greater than 0")
    return value
