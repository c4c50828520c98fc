"""Faults of the journal's file as sentences that say how to mend them."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stripwatch.errors import StorageError

MOVE_AWAY = "see what is wrong with: stripwatch journal verify, move it away, and a new one is made"
DAMAGED = f"is damaged; {MOVE_AWAY}"
_FULL = "the disk is full; free space on it"
_READ_ONLY = (
    "it is read-only; check the permissions, and whether the disk has been mounted read-only after "
    "an error"
)
_PERMISSIONS = "its permissions forbid it"
_REMEDIES = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the folder exists and its "
    "permissions",
    sqlite3.SQLITE_PERM: _PERMISSIONS,
    sqlite3.SQLITE_IOERR: "the disk reports an error; check its cables and health",
    sqlite3.SQLITE_NOTADB: "it is not a journal; move it away, and a new one is made",
    sqlite3.SQLITE_CORRUPT: f"it {DAMAGED}",
    sqlite3.SQLITE_BUSY: "another program has locked it",
}
_SYSTEM_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _PERMISSIONS,
    errno.EEXIST: "the name of its folder is that of a file; choose another (journal.folder)",
    errno.ENOTDIR: "a part of its path is a file; choose another (journal.folder)",
}
_PRIMARY_CODE = 0xFF  # SQLite's extended codes carry it in their lowest byte
_FREE_BYTES_MIN = 65_536  # SQLite reports a disk that is full to the last byte as an I/O error


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
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(path.parent):
            code = sqlite3.SQLITE_FULL
        raise StorageError(f"journal {path}: {_REMEDIES.get(code, str(error))}") from error
    except UnicodeDecodeError as error:  # of SQLite's message, which quotes damaged names
        raise StorageError(f"journal {path} {DAMAGED}") from error
    except OSError as error:
        reason = _SYSTEM_REMEDIES.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"journal {path}: {reason}") from error
    except StorageError as error:
        if str(error).startswith("journal "):
            raise
        raise type(error)(f"journal {path} {error}") from error


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _FREE_BYTES_MIN
    except OSError:
        return False


class JournalReplaced(StorageError):
    """Another journal has taken the place of the one that this daemon writes."""
