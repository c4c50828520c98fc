"""The folder of a journal on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from stripwatch.config.load import load_config
from stripwatch.errors import ConfigError, StorageError
from stripwatch.journal.store import FILE


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add `FOLDER` and `--config CONFIG.TOML`, of which exactly one must be given."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="of the journal")
    group.add_argument(
        "--config", type=Path, metavar="CONFIG.TOML", help="of the daemon, which names the folder"
    )


def journal_folder(args: argparse.Namespace) -> Path:
    """The folder that these options name; the file in it is taken for it, too.

    Raises:
        ConfigError: the configuration is wrong, or the folder's name is no path.
        StorageError: there is no journal.
    """
    folder: Path = args.folder or Path(load_config(args.config).journal.folder or "journal")
    try:
        if folder.name == FILE and folder.is_file():
            return folder.parent
        is_there = (folder / FILE).is_file()
    except (OSError, ValueError) as error:  # too long, a NUL in it, or not to be looked into
        raise ConfigError(f"journal folder {str(folder)!r}: {error}") from error
    if is_there:
        return folder
    hint = "a daemon makes it when it starts"
    if args.config:
        hint += (
            "; under systemd, and without journal.folder, it is in the StateDirectory: give that "
            "folder in place of --config"
        )
    raise StorageError(f"{folder} has no {FILE}; {hint}")
