"""Load of GPU and processor during a measurement, and memory of a process (Linux)."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.5  # between readings of the GPU
QUERY_S_MAX = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_FIRST_STAT_FIELD = 3  # of those after the command's name, see proc(5)
_UTIME, _STIME = 14 - _FIRST_STAT_FIELD, 15 - _FIRST_STAT_FIELD


@dataclass(slots=True)
class Load:
    """Filled in at the end."""

    gpu_percent: float | None = None  # median; None: nvidia-smi is missing
    cpu_percent: float | None = None  # of one core; this process and those that it has started


@contextmanager
def load_monitor() -> Iterator[Load]:
    """Measure the load during the block; processes started in it are not counted."""
    load = Load()
    over = threading.Event()
    percents: list[float] = []

    def poll() -> None:
        while not over.wait(POLL_S):
            output = query_gpus("utilization.gpu").splitlines()
            values = [float(line) for line in output if line.strip().isdigit()]
            if values:
                percents.append(max(values))  # of several GPUs, the busiest is ours

    poller = threading.Thread(target=poll, name="gpu-monitor")
    children = [child.pid for child in multiprocessing.active_children() if child.pid]
    before_s, started_s = _cpu_s(children), time.monotonic()
    poller.start()
    try:
        yield load
        taken_s = time.monotonic() - started_s
        load.cpu_percent = 100 * (_cpu_s(children) - before_s) / taken_s
    finally:
        over.set()
        poller.join()
    load.gpu_percent = statistics.median(percents) if percents else None


def query_gpus(fields: str) -> str:
    """The output of nvidia-smi for these fields, a line per GPU; "" where it is missing."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=QUERY_S_MAX
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def process_cpu_s(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    # The command's name, in brackets, may hold spaces and brackets of its own.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S


def threads_cpu_ns() -> dict[str, int]:
    """Processor time of this process so far, user and system, by name of its threads.

    Threads of libraries have the name that the system knows them by.
    """
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    taken: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        try:
            time_ns = int((task / "schedstat").read_text().split()[0])
            name = names.get(int(task.name)) or (task / "comm").read_text().strip()
        except OSError:  # it has ended meanwhile
            continue
        taken[name] += time_ns
    return dict(taken)


def _cpu_s(children: Sequence[int]) -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime + sum(map(process_cpu_s, children))
