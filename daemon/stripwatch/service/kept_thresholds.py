"""Thresholds that operators set, in a file beside the journal that a restart reads (ADR 31).

An entry holds as long as the configuration, or the engine where that says nothing, gives the value
that it gave when the entry was made: whoever changes the configuration afterwards decided later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch.wire.names import ClassName

FILE = "thresholds.json"


Key = Literal["threshold", "min_area_px"]
KEYS: tuple[Key, ...] = ("threshold", "min_area_px")


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One setting of one class."""

    class_name: ClassName
    key: Key
    value: Annotated[float, Meta(ge=0)]
    configured: Annotated[float, Meta(description="what the configuration gave when this was set")]
    who: str
    t_ns: int


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    settings: tuple[Kept, ...]
    v: Literal[1] = 1


def load_kept(folder: Path) -> tuple[Kept, ...]:
    """The settings of a journal's folder; none where there is no file.

    Raises:
        StorageError: it cannot be read, or is no such file.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).settings
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path}, the thresholds set by operators, is damaged ({error}); mend it, or remove it "
            "to go on with those of the configuration"
        ) from None


def save_kept(folder: Path, settings: Sequence[Kept]) -> None:
    """Write them whole.

    Raises:
        StorageError: they cannot be written; the file is as it was.
    """
    path = folder / FILE
    try:
        text = msgspec.json.format(msgspec.json.encode(_File(settings=tuple(settings))), indent=2)
        write_whole(path, text + b"\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def holding(settings: Iterable[Kept], configured: Sequence[DefectClass]) -> tuple[Kept, ...]:
    """Those that still hold over the classes that the configuration gives."""
    given = {(entry.name, key): getattr(entry, key) for entry in configured for key in KEYS}
    return tuple(one for one in settings if given.get((one.class_name, one.key)) == one.configured)


def applied(settings: Iterable[Kept], configured: Sequence[DefectClass]) -> tuple[DefectClass, ...]:
    """The classes with the settings that hold."""
    classes = {entry.name: entry for entry in configured}
    for one in holding(settings, configured):
        value = one.value if one.key == "threshold" else round(one.value)
        old = classes[one.class_name]
        classes[one.class_name] = msgspec.structs.replace(old, **{one.key: value})
    return tuple(classes.values())
