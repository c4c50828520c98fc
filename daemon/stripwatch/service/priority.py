"""How much a process gives way to the line on the same computer."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICENESS = 10  # of the page; the daemon and the cameras have 0
TASKS = Path("/proc/self/task")
AUTOGROUP = Path("/proc/self/autogroup")


def give_way(niceness: int = NICENESS) -> None:
    """Raise the niceness of all threads of this process, where it is lower now.

    Under systemd the unit has done it, and setpriority(2) is forbidden: no reason not to go on.
    Linux may give every session the same share of the processor; niceness then counts inside a
    session only, and a session of its own needs one, too (sched(7), autogroup).
    """
    if os.getpriority(os.PRIO_PROCESS, 0) >= niceness:
        return
    with contextlib.suppress(OSError):
        for task in TASKS.iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)
        if os.getsid(0) == os.getpid():
            AUTOGROUP.write_text(str(niceness))
