"""Flags that several subcommands share, and the objects that they name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec

from stripwatch.errors import StorageError

if TYPE_CHECKING:
    from stripwatch_train.data.samples import DataSet

CLASSES_FLAG: dict[str, Any] = {
    "metavar": "NAMES",
    "help": "names of the classes, in order, separated by commas",
}
MODEL_FLAG: dict[str, Any] = {
    "type": Path,
    "metavar": "MODEL",
    "help": ".onnx with its model.json, .toml that lists which models go together, engine folder, "
    "or folder of a training run",
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
