"""The lock of a journal's folder: one daemon has it at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from stripwatch.errors import StorageError


def lock(path: Path) -> IO[bytes]:
    """Hold a lock file open; the lock ends with the process, however that ends.

    Raises:
        StorageError: another process holds it.
        OSError: it cannot be opened.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StorageError(
            "belongs to another daemon that runs; give each a folder of its own (journal.folder)"
        ) from None
    return file


def is_locked(path: Path) -> bool:
    """Whether another process holds a lock file now; False where that cannot be found out."""
    try:
        lock(path).close()
    except StorageError:
        return True
    except OSError:
        return False
    return False


def is_at(file: os.stat_result, path: Path) -> bool:
    """Whether a path still names a file."""
    try:
        return os.path.samestat(file, path.stat())
    except FileNotFoundError:
        return False
