"""The note by which other processes find a running daemon, and see what it runs.

The note is a file in memory that only the daemon holds (`memfd_create`). It has no path, so it
cannot be left behind, be taken for that of another, or lie where a service may not write; it ends
with the daemon. The kernel shows it under /proc/PID/fd to root and to the user of the daemon.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from stripwatch._version import __version__
from stripwatch.config.sections import Config
from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.errors import AddressError
from stripwatch.inspect.model import Model

NOTE_NAME = "stripwatch-run"
_NOTE_LINK = f"/memfd:{NOTE_NAME} (deleted)"


class Running(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a daemon tells of itself."""

    path: str  # of its configuration, absolute
    config: Config  # that it follows
    engine_hash: str
    classes: tuple[DefectClass, ...]  # with the thresholds and minimum areas in force
    gate: Gate | None = None
    reloads: int = 0  # that have ended, well or not
    refusal: str = ""  # why the last one changed nothing

    @property
    def model(self) -> Model:
        """The model of the next batch."""
        return Model(self.engine_hash, self.classes, self.gate)


class _Note(msgspec.Struct, frozen=True):
    """What the file holds; another version of stripwatch may have written it."""

    version: str
    running: msgspec.Raw


class RunningNote:
    """The daemon's end."""

    def __init__(self) -> None:
        """Write nothing yet."""
        self._file: int | None = None

    def write(self, running: Running) -> None:
        """Replace what the note says.

        Raises:
            OSError: the system has no files in memory, or the daemon too many open files.
        """
        file = os.memfd_create(NOTE_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            note = _Note(__version__, msgspec.Raw(msgspec.json.encode(running)))
            os.write(file, msgspec.json.encode(note))
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)  # the mark of a whole note
        except OSError:
            os.close(file)
            raise
        if self._file is None:
            self._file = file
        else:
            os.dup2(file, self._file, inheritable=False)  # at once: a reader finds one of the two
            os.close(file)

    def close(self) -> None:
        """Take the note away."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def find_running(path: Path) -> tuple[int, Running]:
    """The process number of the daemon that runs with a configuration, and what it says.

    Raises:
        AddressError: there is none, or none that this user may see.
    """
    versions = set()
    for pid, content in _notes():
        with suppress(msgspec.DecodeError):
            note = msgspec.json.decode(content, type=_Note)
            if note.version != __version__:
                versions.add(f"process {pid} is stripwatch {note.version}")
                continue
            running = msgspec.json.decode(note.running, type=Running)
            if running.path == str(path.resolve()):
                return pid, running
    others = f" ({', '.join(sorted(versions))}, and this is {__version__})" if versions else ""
    raise AddressError(
        f"no daemon that you may see runs with {path}{others}; start one with: stripwatch run "
        f"{path}; or ask as the user that runs it, or as root"
    )


def _notes() -> Iterator[tuple[int, bytes]]:
    """Process numbers, and the whole notes that they hold."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            for link in (process / "fd").iterdir():
                content = _read_note(link)
                if content is not None:
                    yield int(process.name), content


def _read_note(link: Path) -> bytes | None:
    with suppress(OSError):
        if str(link.readlink()) == _NOTE_LINK:
            with link.open("rb") as file:
                if fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE:
                    return file.read()
    return None
