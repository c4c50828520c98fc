"""How much a process gives way to the line on the same computer."""

from __future__ import annotations

import contextlib
import os

NICENESS = 10  # of the page; the daemon and the cameras have 0


def give_way(niceness: int = NICENESS) -> None:
    """Raise this process's niceness, where it is lower now; before it starts threads.

    Under systemd the unit has done it, and setpriority(2) is forbidden: no reason not to go on.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < niceness:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
