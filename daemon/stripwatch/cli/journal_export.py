"""`stripwatch journal export`: events of a journal as JSON lines, CSV or Parquet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, get_args

from stripwatch.cli.journal_folder import add_folder, journal_folder
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.files import draft_path
from stripwatch.journal.query import Query, find
from stripwatch.journal.reader import JournalReader, StoredEvent
from stripwatch.service.console import Progress, ProgressBar
from stripwatch.view.journal_export import Format, write_events
from stripwatch.wire.event import NumberedEvent

TYPES = tuple(str(kind.__struct_config__.tag) for kind in get_args(NumberedEvent))
FORMATS: tuple[Format, ...] = get_args(Format)
DEFECT = "defect"


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "export",
        allow_abbrev=False,
        help="write events as JSON lines, CSV or Parquet",
        description="Write the events of a journal as they were published, one a line; or its "
        "defects as a table. The ending of the output's name decides, or --format.",
    )
    add_folder(parser)
    add = parser.add_argument
    add("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    add("--format", choices=FORMATS, help="jsonl: all events; csv, parquet: defects")
    add("--strip", metavar="ID", help="only events of this strip")
    add("--type", action="append", choices=TYPES, help="may be given more than once")
    add("--since", type=_number, default=0, metavar="SEQ", help="only events after this number")
    time_help = "journalled at or after this time, such as 2026-11-28T06:00; local without a zone"
    add("--from", dest="from_ns", type=_time_ns, metavar="TIME", help=time_help)
    add("--to", dest="to_ns", type=_time_ns, metavar="TIME", help="journalled before this time")
    parser.set_defaults(command=_export)


def _export(args: argparse.Namespace) -> ExitCode:
    kind = _format(args)
    types = tuple(args.type or ())
    if kind != "jsonl":
        if set(types) - {DEFECT}:
            raise ConfigError(f"{kind} holds defects alone; leave --type out, or write jsonl")
        types = (DEFECT,)
    if args.output is None and kind == "parquet":
        raise ConfigError("parquet needs a file: give --output FILE.parquet")
    query = Query(
        after_seq=args.since, strip=args.strip, types=types, from_ns=args.from_ns, to_ns=args.to_ns
    )
    with JournalReader(journal_folder(args)) as reader:
        if args.output is None:
            write_events(find(reader, query), sys.stdout.buffer, kind)
            return ExitCode.OK
        with ProgressBar() as progress, _written_whole(args.output) as file:
            count = write_events(_shown(reader, query, progress.show), file, kind)
    sys.stdout.write(f"{args.output}: {count} {'events' if kind == 'jsonl' else 'defects'}\n")
    return ExitCode.OK


def _format(args: argparse.Namespace) -> Format:
    if args.format:
        kind: Format = args.format
        return kind
    if args.output is None:
        return "jsonl"
    ending = args.output.suffix.lower().removeprefix(".")
    for known in FORMATS:
        if ending == known:
            return known
    raise ConfigError(
        f"--output {args.output}: its name ends in none of .{', .'.join(FORMATS)}; "
        "give --format, too"
    )


def _shown(reader: JournalReader, query: Query, progress: Progress) -> Iterator[list[StoredEvent]]:
    """The events that are wanted; shows how many there are so far."""
    count = 0
    for page in find(reader, query):
        count += len(page)
        progress(f"exporting, {count} events", 0, 0)
        yield page


@contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when all of it is written.

    Raises:
        StorageError: it cannot be written.
    """
    path = path.resolve()
    draft = draft_path(path)
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout, or a pipe
            with path.open("wb") as file:
                yield file
            return
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def _number(text: str) -> int:
    if text.isdecimal() and text.isascii() and len(text) <= 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected the number of an event, 0 or more")


def _time_ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000) * 10**6
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a time such as 2026-11-28, 2026-11-28T06:00 or "
            "2026-11-28T06:00:00+01:00"
        ) from None
