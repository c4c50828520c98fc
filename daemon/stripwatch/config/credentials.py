"""Files that the configuration names, where systemd may hand over those that are secret.

Source: systemd.exec(5), "LoadCredential=": the files that a unit names are, for this service alone,
in the folder $CREDENTIALS_DIRECTORY, which is kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from stripwatch.config.errors import FILE_PATTERN

FOLDER = "credentials"

FilePath = Annotated[str, Meta(pattern=FILE_PATTERN)]  # relative to the configuration file
Section = TypeVar("Section", bound=msgspec.Struct)


def absolute_file(file: str, folder: Path) -> Path:
    """Where a file of the configuration is: relative ones start at `folder`.

    `credentials/NAME` is the credential NAME of the service. Without systemd, or where its unit
    loads none, it is a file like all others, in the folder `credentials` beside the configuration.
    """
    path = Path(file)
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and path.parts[:1] == (FOLDER,):
        return Path(given, *path.parts[1:])
    return (folder / path).resolve()


def with_absolute_files(section: Section, keys: Iterable[str], folder: Path) -> Section:
    """A section whose files, under these keys where they are given, are absolute."""
    files = {
        key: str(absolute_file(file, folder))
        for key in keys
        if (file := getattr(section, key)) is not None
    }
    return msgspec.structs.replace(section, **files)
