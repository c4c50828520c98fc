"""Whether a folder lies on a file system of another computer.

There SQLite's write-ahead log is not safe: it needs memory that all its users share, and locks that
hold. The text is that of Linux's /proc/self/mountinfo (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_ESCAPE = re.compile(r"\\([0-7]{3})")  # of blanks and backslashes in names


def network_file_system_of(folder: Path) -> str | None:
    """As `network_file_system`, by the mounts of this process."""
    try:
        return network_file_system(
            MOUNTS.read_text(errors="replace"), PurePosixPath(folder.resolve())
        )
    except OSError:  # no Linux, or /proc is hidden
        return None


def network_file_system(mountinfo: str, folder: PurePosixPath) -> str | None:
    """The kind of network file system that a folder lies on; None: it is local, or not known.

    Args:
        mountinfo: lines `id parent device root mount-point options [optional ...] - type ...`;
            what is no such line is left out.
        folder: absolute, without symbolic links.
    """
    kind, depth = "", -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 6 or not kinds[0]:
            continue
        point = PurePosixPath(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of several mounts on one point the last one is seen.
        if folder.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = kinds[0], len(point.parts)
    return kind if kind in NETWORK else None
