"""Faults of the disk under a running daemon, and which of them this machine allows."""

from __future__ import annotations

import mmap
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EIO
from pathlib import Path

from stripwatch.journal.store import FILE
from stripwatch.lab.faults.plan import Fault

SMALL_DISK_MB = 40  # SQLite's WAL alone takes up to 16
LIMIT_BYTES = 65_536
SLOW_SYNC_US = 500_000
NEW_JOURNAL_S_MAX = 10.0  # from the removal of a journal to the first event in the next
_BALLAST = "ballast"

# Delays and fails what SQLite does to files, as three numbers in a shared file tell.
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int *control; /* microseconds of a sync, error of a sync, error of a write */

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("STRIPWATCH_SHIM");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file >= 0) {
        void *map = mmap(0, 12, PROT_READ, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) control = map;
        close(file);
    }
}

static int before(int is_sync) {
    if (!control) return 0;
    if (is_sync && control[0]) usleep(control[0]);
    errno = control[is_sync ? 1 : 2];
    return errno ? -1 : 0;
}

#define SYNC(name) int name(int file) { \
    static int (*real)(int); \
    if (!real) real = dlsym(RTLD_NEXT, #name); \
    return before(1) ? -1 : real(file); }
#define WRITE(name, offset_type) \
    ssize_t name(int file, const void *data, size_t n, offset_type at) { \
    static ssize_t (*real)(int, const void *, size_t, offset_type); \
    if (!real) real = dlsym(RTLD_NEXT, #name); \
    return before(0) ? -1 : real(file, data, n, at); }
SYNC(fsync)
SYNC(fdatasync)
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)
"""


class Storage:
    """The folder of the journal, and what is done to it."""

    def __init__(self, folder: Path, pid: Callable[[], int | None], small_disk: bool) -> None:
        """Make the folder `journal` in `folder`.

        Args:
            folder: of the run.
            pid: of the daemon that runs; None between two.
            small_disk: put the journal on a file system of `SMALL_DISK_MB`.
        """
        self.folder = folder / "journal"
        self.removed: list[Path] = []  # journals that were moved away, the oldest first
        self._pid = pid
        self._shim = build_shim(folder)
        self._control = _control_file(folder / "control")
        self._is_small = small_disk
        self._lock: sqlite3.Connection | None = None
        self.folder.mkdir()
        if small_disk:
            _run("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m", "tmpfs", str(self.folder))

    def environment(self) -> dict[str, str]:
        """What the daemon needs in its environment, so that its disk can be slow or fail."""
        if self._shim is None:
            return {}
        control = str(self.folder.parent / "control")
        return {"LD_PRELOAD": str(self._shim), "STRIPWATCH_SHIM": control}

    def begin(self, fault: Fault) -> None:
        """Let a fault begin."""
        match fault:
            case Fault.DISK_FULL:
                self._fill()
            case Fault.FILE_LIMIT:
                self._limit_files(LIMIT_BYTES)
            case Fault.READ_ONLY:
                self._change_attribute("+i")
            case Fault.LOCKED:
                self._lock = sqlite3.connect(self.folder / FILE, 0.1, isolation_level=None)
                with suppress(sqlite3.OperationalError):  # the daemon was quicker
                    self._lock.execute("BEGIN IMMEDIATE")
            case Fault.SLOW_DISK:
                self._set_control(SLOW_SYNC_US, 0, 0)
            case Fault.SYNC_ERROR:
                self._set_control(0, EIO, 0)
            case Fault.IO_ERROR:
                self._set_control(0, EIO, EIO)
            case Fault.REMOVED:
                self._remove()

    def end(self, fault: Fault) -> None:
        """Let a fault end."""
        match fault:
            case Fault.DISK_FULL:
                (self.folder / _BALLAST).unlink(missing_ok=True)
            case Fault.FILE_LIMIT:
                self._limit_files(resource.RLIM_INFINITY)
            case Fault.READ_ONLY:
                self._change_attribute("-i")
            case Fault.LOCKED if self._lock is not None:
                self._lock.close()
            case Fault.SLOW_DISK | Fault.SYNC_ERROR | Fault.IO_ERROR:
                self._set_control(0, 0, 0)

    def close(self) -> None:
        """Give back what a run leaves behind in the system; the journals stay to be read."""
        self._control.close()
        if self._is_small:
            kept = self.folder.with_name("journal-kept")
            shutil.copytree(self.folder, kept)
            _run("umount", "--lazy", str(self.folder))
            self.folder.rmdir()
            kept.rename(self.folder)

    def _fill(self) -> None:
        with (self.folder / _BALLAST).open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def _limit_files(self, size: int) -> None:
        pid = self._pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _send(self, number: signal.Signals) -> None:
        pid = self._pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _change_attribute(self, change: str) -> None:
        paths = [self.folder, *self.folder.glob(f"{FILE}*")]
        _fails("chattr", change, *map(str, paths))  # a file of SQLite's own may have gone

    def _set_control(self, *numbers: int) -> None:
        self._control[:] = struct.pack("3i", *numbers)

    def _remove(self) -> None:
        """Move the journal away and wait for the next one."""
        kept = self.folder / f"removed-{len(self.removed) + 1}"  # on the same file system
        try:
            kept.mkdir()
        except OSError:  # the folder is read-only, or full
            return
        # The daemon stands still meanwhile: of two journals the files must not get mixed.
        self._send(signal.SIGSTOP)
        for path in self.folder.glob(f"{FILE}*"):
            path.rename(kept / path.name)
        self._send(signal.SIGCONT)
        self.removed.append(kept / FILE)
        until_s = time.monotonic() + NEW_JOURNAL_S_MAX
        while not (self.folder / FILE).exists() and time.monotonic() < until_s:
            time.sleep(0.05)


def impossible_faults(folder: Path) -> dict[Fault, str]:
    """The faults that this machine does not allow in a folder, each with the reason."""
    reasons: dict[Fault, str] = {}
    trial = folder / "trial"
    trial.mkdir()
    if _fails("mount", "-t", "tmpfs", "tmpfs", str(trial)):
        reasons[Fault.DISK_FULL] = "mounting a small file system needs root"
    else:
        _run("umount", str(trial))
    with (trial / "file").open("wb", buffering=0) as file:
        if _fails("chattr", "+i", file.name):
            reasons[Fault.READ_ONLY] = "chattr +i needs root, and a file system that knows it"
        else:
            with suppress(OSError):
                file.write(b"x")
                reasons[Fault.READ_ONLY] = "chattr +i does not stop a file that is open here"
            _run("chattr", "-i", file.name)
    if build_shim(folder) is None:
        reason = "a slow or failing disk needs a C compiler (cc)"
        reasons |= dict.fromkeys((Fault.SLOW_DISK, Fault.IO_ERROR, Fault.SYNC_ERROR), reason)
    shutil.rmtree(trial)
    return reasons


def build_shim(folder: Path) -> Path | None:
    """The library that delays and fails writes, in the parent of a run's folder; None: no cc."""
    library = folder / "shim.so"
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source = folder / "shim.c"
    source.write_text(_SHIM)
    failed = _fails(compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source))
    return None if failed else library


def _control_file(path: Path) -> mmap.mmap:
    path.write_bytes(bytes(12))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 12)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _fails(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return True
    return subprocess.run(command, capture_output=True, check=False).returncode != 0
