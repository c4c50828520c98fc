"""`stripwatch journal`: look into a journal, check it, and remove from it."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

import msgspec

from stripwatch.cli import journal_export, journal_prune
from stripwatch.cli.journal_folder import add_folder, journal_folder
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.journal import positions
from stripwatch.journal.positions import Positions
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.summary import summarize
from stripwatch.journal.verify import verify
from stripwatch.service.console import ProgressBar
from stripwatch.view.journal_text import summary_text


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand, and its own."""
    parser = commands.add_parser(
        "journal",
        allow_abbrev=False,
        help="look into the journal of events, check it, remove from it",
        description="Look into a daemon's journal, beside the daemon or without it.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_info(actions)
    journal_export.add_parser(actions)
    _add_verify(actions)
    journal_prune.add_parser(actions)
    _add_forget(actions)


def _add_info(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "info",
        allow_abbrev=False,
        help="what the journal holds",
        description="Print stream, events by type, size, coverage of the cameras, and readers.",
    )
    add_folder(parser)
    parser.add_argument(
        "--quick", action="store_true", help="do not count events by type, which reads all of them"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(command=_info)


def _info(args: argparse.Namespace) -> ExitCode:
    with ProgressBar() as progress:
        summary = summarize(
            journal_folder(args), count_types=not args.quick, progress=progress.show
        )
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n"
    else:
        text = summary_text(summary)
    sys.stdout.write(text)
    return ExitCode.OK


def _add_verify(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "verify",
        allow_abbrev=False,
        help="check numbers, coverage and the database",
        description="Check that no number is missing, that every event can be read, that coverage "
        "agrees with the gaps, and that the database is sound; exit code 6 where something is "
        "wrong.",
    )
    add_folder(parser)
    parser.set_defaults(command=_verify)


def _verify(args: argparse.Namespace) -> ExitCode:
    folder = journal_folder(args)
    with JournalReader(folder) as reader:
        bounds = reader.bounds()
        path = reader.path
    with ProgressBar() as progress:
        progress.show("checking", 0, 0)
        faults = verify(path)
    if faults:
        sys.stdout.write("".join(f"{fault}\n" for fault in faults))
        sys.stderr.write(f"{path}: faults: {len(faults)}\n")
        return ExitCode.STORAGE
    events = f"events {bounds.first_seq} to {bounds.last_seq}" if bounds.last_seq else "no events"
    sys.stdout.write(f"{path}: good, {events}\n")
    return ExitCode.OK


def _add_forget(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "forget",
        allow_abbrev=False,
        help="remove a reader that is gone for good",
        description="Remove the position of a named reader, so that old events no longer stay for "
        "it. A reader that comes back under this name begins anew.",
    )
    parser.add_argument("reader", metavar="READER", help="see: stripwatch journal info")
    add_folder(parser)
    parser.set_defaults(command=_forget)


def _forget(args: argparse.Namespace) -> ExitCode:
    folder = journal_folder(args)
    JournalReader(folder).close()
    known: list[str] = []
    if (folder / positions.FILE).exists():
        with closing(Positions(folder)) as file:
            if file.forget(args.reader):
                sys.stdout.write(f"{args.reader} is forgotten\n")
                return ExitCode.OK
            known = [one.reader for one in file.all()]
    raise ConfigError(
        f"the journal in {folder} has no reader {args.reader!r}; it has: "
        f"{', '.join(known) or 'none'}"
    )
