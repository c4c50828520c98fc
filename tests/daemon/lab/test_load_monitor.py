"""Load and memory of processes, read from Linux."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import time

from stripwatch.lab.bench.load_monitor import load_monitor, process_cpu_s, resident_bytes


def test_memory_that_is_written_becomes_resident() -> None:
    """A mapping of its own: an allocator may have resident memory to give."""
    with mmap.mmap(-1, 64_000_000) as block:
        before = resident_bytes(os.getpid())
        block.write(bytes(64_000_000))
        assert resident_bytes(os.getpid()) - before > 32_000_000


def test_processor_time_is_that_of_the_process() -> None:
    """Between two readings of getrusage, to the kernel's tick; whatever the process is called."""

    def used_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    before_s = used_s()
    measured_s = process_cpu_s(os.getpid())
    assert before_s - 2 * tick_s <= measured_s <= used_s() + 2 * tick_s


def test_a_name_with_brackets_and_spaces_is_read_over() -> None:
    """The kernel writes the name of a process into its figures as it is."""
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b') 9 9 (', 0, 0, 0); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"{rename}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert 0 <= process_cpu_s(child.pid) < 60
        child.communicate(b"\n", timeout=30)


def test_a_busy_block_has_a_load() -> None:
    """And where there is no nvidia-smi, the load of the GPU is unknown."""
    with load_monitor() as load:
        assert load.cpu_percent is None
        until_s = time.process_time() + 0.05
        while time.process_time() < until_s:
            pass
    assert load.cpu_percent is not None
    assert load.cpu_percent > 0
