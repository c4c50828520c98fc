"""A subscriber's place in a file of its own, for readers that the daemon does not keep."""

from __future__ import annotations

from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.wire.requests import Place


def load_place(path: Path) -> Place | None:
    """The place in a file; None: there is no file yet.

    Raises:
        StorageError: it cannot be read.
        ConfigError: it holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a file of a position ({error}); name another file, or remove it to "
            "start anew"
        ) from None


def save_place(path: Path, place: Place) -> None:
    """Write the place, whole.

    Raises:
        StorageError: it cannot be written; the file is as it was.
    """
    try:
        write_whole(path, msgspec.json.encode(place))
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
