"""Text files as other programs write them: UTF-8 with or without a byte-order mark, or UTF-16."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError
from stripwatch.files import to_utf8


def read_text(path: Path) -> str:
    """The text of a file, without a byte-order mark; line ends are as they are.

    Raises:
        ConfigError: it cannot be read, or is in another encoding.
    """
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: cannot be read: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None


def decode_text(data: bytes) -> str:
    """Bytes as text, without a byte-order mark.

    Raises:
        UnicodeDecodeError: they are in another encoding.
    """
    return to_utf8(data).decode()


def check_name(path: Path) -> None:
    """Refuse a path that no text file can hold: labels, folds and pages name it in UTF-8.

    Raises:
        ConfigError: its name is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise ConfigError(
            f"{shown}: its name is not UTF-8 (a Windows archive may have been unpacked without its "
            "encoding); rename it"
        ) from None
