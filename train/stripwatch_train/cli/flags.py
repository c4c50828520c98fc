"""Flags that several subcommands share, and the objects that they name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec
from rich.box import HEAVY_HEAD, Box
from rich.table import Table

from stripwatch.errors import ConfigError, StorageError
from stripwatch.service.console import plain_console

if TYPE_CHECKING:
    from stripwatch_train.data.samples import DataSet

CLASSES_FLAG: dict[str, Any] = {
    "metavar": "NAMES",
    "help": "names of the classes, in order, separated by commas",
}
MODEL_FLAG: dict[str, Any] = {
    "type": Path,
    "metavar": "MODEL",
    "help": "an .onnx with its model.json, a .toml that lists which models go together, an engine "
    "folder, or the folder of a training run",
}

JSON_HELP = "print one JSON document in place of the tables"


def print_json(document: object) -> None:
    """Print a document of --json on stdout."""
    data = msgspec.json.format(msgspec.json.encode(document), indent=2)
    sys.stdout.write(data.decode() + "\n")


def class_names(args: argparse.Namespace) -> list[str] | None:
    """The names that --classes gives; None without it."""
    return args.classes.split(",") if args.classes else None


def opened_data(path: Path, args: argparse.Namespace) -> DataSet:
    """The data set at a path; the findings of its reader are printed on stderr.

    Raises:
        ConfigError: as `open_data_set`.
    """
    from stripwatch_train.data.data_set import open_data_set

    data_set = open_data_set(path, class_names(args))
    for finding in data_set.findings:
        sys.stderr.write(f"{finding}\n")
    return data_set


def check_outside(output: Path, data: Path) -> None:
    """Refuse to write into the data: pictures of a page would be read as frames of the next time.

    Raises:
        ConfigError: the output is the data's folder, or lies inside it.
    """
    folder, target = data.resolve(), output.resolve()
    if data.is_dir() and (target == folder or folder in target.parents):
        raise ConfigError(
            f"{output}: lies inside the data {data}, whose pictures are read as frames; give "
            "another --output"
        )


def check_new(path: Path, *, force: bool) -> None:
    """Refuse to replace a file without --force.

    Raises:
        ConfigError: it exists.
    """
    if path.exists() and not force:
        raise ConfigError(f"{path}: exists; give another --output, or --force to replace it")


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], box: Box | None = HEAVY_HEAD
) -> None:
    """Print a table on stdout."""
    table = Table(*heads, box=box)
    for row in rows:
        table.add_row(*row)
    plain_console().print(table)


def make_folder(folder: Path) -> None:
    """Make the folder of the results before the work begins, so that hours of work are not lost.

    Raises:
        StorageError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
