"""Faults of the journal's file as sentences that say how to mend them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stripwatch.errors import StorageError

_REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full; free space on it",
    sqlite3.SQLITE_READONLY: "it is read-only; check the permissions, and whether the disk has "
    "been mounted read-only after an error",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the folder exists and its "
    "permissions",
    sqlite3.SQLITE_PERM: "its permissions forbid it",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check its cables and health",
    sqlite3.SQLITE_NOTADB: "it is not a journal; move it away, and a new one is made",
    sqlite3.SQLITE_CORRUPT: "it is damaged; see what is wrong with: stripwatch journal verify, "
    "move it away, and a new one is made",
    sqlite3.SQLITE_BUSY: "another program has locked it",
}
_PRIMARY_CODE = 0xFF  # SQLite's extended codes carry it in their lowest byte


@contextmanager
def as_storage_error(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into one sentence.

    Raises:
        StorageError: the journal cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        raise StorageError(f"journal {path}: {_REMEDIES.get(code, str(error))}") from error
    except OSError as error:
        raise StorageError(f"journal {path}: {error.strerror or error}") from error
    except StorageError as error:
        if str(error).startswith("journal "):
            raise
        raise StorageError(f"journal {path} {error}") from error
