"""Files written whole, and text files read whatever byte-order mark stands before them.

Written whole: a reader, or a power cut, sees the old content or the new one.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path

# UTF-32 before UTF-16, whose mark is the beginning of that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_utf8(path: Path) -> bytes:
    """The content of a text file as UTF-8 without a byte-order mark.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not in the encoding that its mark names.
    """
    return to_utf8(path.read_bytes())


def to_utf8(data: bytes) -> bytes:
    """Text as UTF-8 without a byte-order mark.

    Editors and shells of Windows write such a mark, and UTF-16 with it. Text without a mark comes
    back as it is, valid UTF-8 or not.

    Raises:
        UnicodeDecodeError: it is not in the encoding that its mark names.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding).encode()
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its final place and rename it, with everything flushed to disk.

    A symbolic link stays, and the file that it leads to is replaced. What is no regular file, such
    as /dev/stdout or a named pipe, is written into.

    Raises:
        OSError: it cannot be written; the file that was there before is unchanged.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
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
