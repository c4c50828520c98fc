"""Files written whole: a reader, or a power cut, sees the old content or the new one."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its final place and rename it, with everything flushed to disk.

    Raises:
        OSError: it cannot be written; the file that was there before is unchanged.
    """
    draft = draft_path(path)
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def draft_path(path: Path) -> Path:
    """Where the new content of a file is written before it is renamed: hidden, in its folder."""
    return path.with_name(f".{path.name}.new")
