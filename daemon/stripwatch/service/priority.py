"""How much a process gives way to the line on the same computer."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICENESS = 10  # of the page; the daemon and the cameras have 0
TASKS = Path("/proc/self/task")


def give_way() -> None:
    """Raise the niceness of all threads of this process, where it is lower now.

    Under systemd the unit has done it, and setpriority(2) is forbidden: no reason not to go on.
    Where Linux gives every session the same share of the processor (sched(7), autogroup), niceness
    counts inside a session only. The share of ours is left: with a tenth of it the page starves
    beside an engine that takes all cores.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) >= NICENESS:
        return
    with contextlib.suppress(OSError):
        for task in TASKS.iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), NICENESS)
