"""A strip of a journal on the command line, and the rules by which it is graded."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stripwatch.config.errors import explain, explain_all, in_one_text
from stripwatch.config.grading import Grading, wrong_grading
from stripwatch.config.load import load_config, read_table
from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.strips import StoredStrip, last_strip, read_strip


class _Rules(msgspec.Struct, frozen=True):
    grading: Grading


def add_strip(parser: argparse.ArgumentParser) -> None:
    """Add `STRIP` or `--last`, `--config` and `--journal`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("strip", nargs="?", metavar="STRIP", help="name of the strip: its coil id")
    which.add_argument("--last", action="store_true", help="the strip that ended last")
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="CONFIG.TOML",
        help="of the daemon: names the journal, and has the cameras, geometry and rules",
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FOLDER",
        help="of the journal, in place of that of the configuration",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add `--rules`."""
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="RULES.TOML",
        help="a file with [grading], in place of that of the configuration: what would have been",
    )


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[tuple[Config, Path, JournalReader]]:
    """The configuration, and the folder and the reader of the journal.

    Raises:
        ConfigError: the configuration is wrong.
        StorageError: there is no journal.
    """
    config = load_config(args.config)
    folder: Path = args.journal or Path(config.journal.folder or "journal")
    with JournalReader(folder) as reader:
        yield config, folder, reader


def find_strip(args: argparse.Namespace, config: Config, reader: JournalReader) -> StoredStrip:
    """The strip that is asked for.

    Raises:
        ConfigError: the journal does not have it.
        StorageError: the journal cannot be read.
    """
    return read_strip(reader, args.strip or last_strip(reader), config)


def grading_of(args: argparse.Namespace, config: Config) -> Grading:
    """The rules of `--rules`, or of the configuration; they may be none.

    Raises:
        ConfigError: the rules are wrong.
    """
    if args.rules is None:
        return config.grading
    path: Path = args.rules
    # Other sections of the file, as those of a whole config.toml, are not looked at.
    table = {key: value for key, value in read_table(path).items() if key == "grading"}
    try:
        grading = msgspec.convert(table, _Rules).grading
    except msgspec.ValidationError as error:
        mistakes = explain_all(table, _Rules) or [explain(str(error), table, _Rules)]
        raise ConfigError(in_one_text(path, mistakes)) from None
    mistakes = wrong_grading(grading, [camera.side for camera in config.cameras])
    if mistakes:
        raise ConfigError(in_one_text(path, mistakes))
    return grading
