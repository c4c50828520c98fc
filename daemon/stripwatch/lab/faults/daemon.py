"""The daemon of a run as a supervisor has it: started again whenever it ends."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from stripwatch.errors import ExitCode

POLL_S = 0.02
START_AGAIN_S = 0.3  # after an end that nobody asked for
# A process that is still starting has no handler of SIGTERM.
ORDINARY_ENDS: frozenset[int] = frozenset((ExitCode.OK, -signal.SIGKILL, -signal.SIGTERM))
END_TIMEOUT_S = 20.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SETTLED_S = 1.0  # after it reports that it runs: memory from then on counts as growth


class Supervisor(threading.Thread):
    """Keeps a daemon running, and notes how each of its lives ended."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._command = [sys.executable, "-m", "stripwatch", "run", str(config)]
        self._log = log
        self._environment = dict(os.environ) | dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._start_again_s = START_AGAIN_S
        self._over = False
        self.allowed: frozenset[int] = ORDINARY_ENDS  # that are no fault now
        self.is_ending = False  # a signal was sent, and the next life has not begun
        self._may_break_off = False
        self.lives = 0
        self.faults: list[str] = []
        self.growth_bytes = 0  # of the largest growth of a life's memory

    def pid(self) -> int | None:
        """Any thread: the daemon that runs; None between two."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def end_life(self, number: signal.Signals, start_again_s: float) -> None:
        """Any thread: send a signal, and start again so long after the end."""
        self._start_again_s = start_again_s
        if self.is_ending:  # a second SIGTERM ends a daemon that drains
            self._may_break_off = True
        self.is_ending = True
        self.send(number)

    def send(self, number: signal.Signals) -> None:
        """Any thread: send a signal to the daemon that runs, if one does."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)

    def finish(self) -> None:
        """Stop the daemon for good; it must end in order."""
        self._over = True
        if not self.is_ending:
            self.allowed = frozenset((ExitCode.OK,))
            self.send(signal.SIGTERM)
        self.join(END_TIMEOUT_S)
        if self.is_alive():
            self.faults.append(f"it did not end within {END_TIMEOUT_S:g} s of SIGTERM")
            self.send(signal.SIGKILL)
            self.join()

    def abandon(self) -> None:
        """Kill what still runs, where a run is broken off; else do nothing."""
        self._over = True
        self.send(signal.SIGKILL)
        self.join()

    def run(self) -> None:
        """Start the daemon again and again until `finish`."""
        while not self._over:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            self.lives += 1
            self.is_ending = self._may_break_off = False
            code = self._watch(self._process)
            broken_off = self._may_break_off and code == ExitCode.DRAIN_TIMEOUT
            if code not in self.allowed and not broken_off:
                self.faults.append(f"life {self.lives} ended with exit code {code}")
            if not self._over:
                time.sleep(self._start_again_s)
            self._start_again_s = START_AGAIN_S

    def _watch(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end; follow the memory meanwhile."""
        settled_s = math.inf
        base: int | None = None
        runs_before = self._runs()
        while (code := process.poll()) is None:
            resident = _resident_bytes(process.pid)
            if base is not None:
                self.growth_bytes = max(self.growth_bytes, resident - base)
            elif time.monotonic() > settled_s:
                base = resident
            elif settled_s == math.inf and self._runs() > runs_before:
                settled_s = time.monotonic() + SETTLED_S
            time.sleep(POLL_S)
        return code

    def _runs(self) -> int:
        """How often the daemon has reported that it runs."""
        return self._log.read_bytes().count(b'"event": "running"')


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):  # it has just ended
        return 0
