"""How busy the GPU and the processor are during a measurement."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

POLL_S = 0.5  # between looks at the GPU
ANSWER_S_MAX = 10.0


@dataclass(slots=True)
class Busy:
    """Filled in at the end."""

    gpu_percent: float | None = None  # median; None: nvidia-smi is missing
    cpu_percent: float | None = None  # of one core; this process and those that it has started


@contextmanager
def watch() -> Iterator[Busy]:
    """Watch until the end of the block."""
    busy = Busy()
    over = threading.Event()
    percents: list[float] = []

    def poll() -> None:
        while not over.wait(POLL_S):
            answer = query_gpus("utilization.gpu").splitlines()
            values = [float(line) for line in answer if line.strip().isdigit()]
            if values:
                percents.append(max(values))  # of several GPUs, the busiest is ours

    poller = threading.Thread(target=poll, name="gpu-watch")
    this = psutil.Process()
    processes = [this, *this.children(recursive=True)]
    before_s, started_s = _cpu_s(processes), time.monotonic()
    poller.start()
    try:
        yield busy
        taken_s = time.monotonic() - started_s
        busy.cpu_percent = 100 * (_cpu_s(processes) - before_s) / taken_s
    finally:
        over.set()
        poller.join()
    busy.gpu_percent = statistics.median(percents) if percents else None


def query_gpus(fields: str) -> str:
    """What nvidia-smi says of the GPUs, a line each; "" where there is none to ask."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ANSWER_S_MAX
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _cpu_s(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))
