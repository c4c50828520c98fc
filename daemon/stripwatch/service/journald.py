"""Priorities of lines that systemd's journal takes from standard error.

A line that begins with `<N>` has the priority N of syslog, and the journal removes the prefix
(SyslogLevelPrefix= of systemd.exec(5), which is on). Beside the journal's own protocol this needs
no socket that could be full, and leaves each line as it is for all other readers (ADR 29).
"""

from __future__ import annotations

import os

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


def is_journal(descriptor: int) -> bool:
    """Whether a file descriptor goes to the journal: $JOURNAL_STREAM names its device and inode."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def with_priority(level: str, line: str) -> str:
    """A line as the journal reads it."""
    return f"<{PRIORITIES.get(level, 6)}>{line}"
