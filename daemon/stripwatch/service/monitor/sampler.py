"""Figures that are not in memory: files, readers' positions, GPUs. Read by a thread of its own.

A disk or a driver that hangs stops this thread alone; the age of its figures is a metric.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from stripwatch.errors import StorageError
from stripwatch.journal import pictures, positions, store
from stripwatch.journal.positions import Position, Positions
from stripwatch.journal.reader import JournalReader
from stripwatch.service.monitor.gpu import GpuFigures, Gpus

PERIOD_S = 5.0

_FILES = {
    "journal": store.FILE,
    "write_ahead_log": f"{store.FILE}-wal",
    "pictures": pictures.FILE,
    "pictures_write_ahead_log": f"{pictures.FILE}-wal",
}


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a reader is behind."""

    events: int
    seconds: float  # age of the oldest event that it has not read; 0: it has read all


@dataclass(frozen=True, slots=True)
class Sample:
    """Figures of one moment."""

    t_s: float  # monotonic
    file_bytes: dict[str, int]
    disk_free_bytes: int | None
    readers: dict[str, Behind]
    gpus: list[GpuFigures]


class Sampler:
    """Takes a sample every `PERIOD_S`; any thread reads `latest`."""

    def __init__(self, journal_folder: Path) -> None:
        self._folder = journal_folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.latest: Sample | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a thread that hangs ends with the process."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        gpus = Gpus()
        while not self._stop.is_set():
            self.latest = Sample(
                time.monotonic(),
                self._file_bytes(),
                self._disk_free_bytes(),
                self._readers(),
                gpus.read(),
            )
            self._stop.wait(PERIOD_S)

    def _file_bytes(self) -> dict[str, int]:
        sizes = {}
        for name, file in _FILES.items():
            with suppress(OSError):  # it is not there yet
                sizes[name] = (self._folder / file).stat().st_size
        return sizes

    def _disk_free_bytes(self) -> int | None:
        """What the daemon may still write to the disk of the journal."""
        with suppress(OSError):
            disk = os.statvfs(self._folder)
            return disk.f_bavail * disk.f_frsize
        return None

    def _readers(self) -> dict[str, Behind]:
        # While the journal has a fault, that is what is told of.
        with suppress(StorageError):
            if not (self._folder / positions.FILE).is_file():
                return {}
            with closing(Positions(self._folder)) as file, JournalReader(self._folder) as journal:
                return {one.reader: _behind(one, journal) for one in file.all()}
        return {}


def _behind(position: Position, journal: JournalReader) -> Behind:
    """How far a position is behind; all is unread where it is of another stream."""
    bounds = journal.bounds()
    read_seq = position.seq if position.stream == bounds.stream else 0
    unread = bounds.last_seq - max(read_seq, bounds.first_seq - 1)
    if unread <= 0:
        return Behind(0, 0.0)
    rows = journal.rows("SELECT t_ns FROM event WHERE seq > ? ORDER BY seq LIMIT 1", (read_seq,))
    seconds = (time.time_ns() - rows[0][0]) / 1e9 if rows else 0.0
    return Behind(unread, max(0.0, seconds))
