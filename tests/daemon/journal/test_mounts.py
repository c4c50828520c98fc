"""File systems of other computers are told from local ones by /proc/self/mountinfo."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from stripwatch.journal.mounts import network_file_system

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
31 22 0:40 / /data rw,relatime shared:7 master:2 - nfs4 server:/export rw,vers=4.2
32 31 254:1 / /data/local rw - xfs /dev/vdb rw
33 22 0:41 / /plant\040share rw - cifs //server/share rw
34 22 0:42 / /old rw - ext4 /dev/vdc rw
35 22 0:43 / /old rw - fuse.sshfs user@host: rw
36 22 0:44 / /container ro - 9p share rw
37 22 0:45 / /strange - ext4
no mount at all
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/stripwatch", None),
        ("/data", "nfs4"),
        ("/data/journal", "nfs4"),
        ("/database", None),
        ("/data/local/journal", None),
        ("/plant share/journal", "cifs"),
        ("/old/journal", "fuse.sshfs"),
        ("/container/x", "9p"),
        ("/strange/x", None),
    ],
)
def test_the_nearest_mount_decides(folder: str, kind: str | None) -> None:
    assert network_file_system(MOUNTS, PurePosixPath(folder)) == kind


def test_what_is_not_known_is_taken_for_local() -> None:
    assert network_file_system("", PurePosixPath("/data")) is None


def test_the_text_of_this_machine_can_be_read() -> None:
    path = Path("/proc/self/mountinfo")
    if not path.is_file():
        pytest.skip("this system has no /proc/self/mountinfo")
    assert network_file_system(path.read_text(), PurePosixPath("/proc")) is None
