"""Run a command under the restrictions that a unit names, without a running systemd.

    python -m tests.systemd.restricted UNIT [DROP-IN ...] -- COMMAND ...

It applies `SystemCallFilter=`, `RestrictAddressFamilies=` and `MemoryDenyWriteExecute=` through
libseccomp and prctl, as systemd does. What the file system shows and which user runs are the
caller's business.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from tests.systemd.unit_files import analyze, keys_of

ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW of seccomp.h
FAIL = 0x00050000 | errno.EPERM  # SCMP_ACT_ERRNO(EPERM)
EQUAL = 4  # SCMP_CMP_EQ
PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


def calls_of(*filters: str) -> set[str]:
    """The system calls that the values of SystemCallFilter= allow together."""
    allowed = _members("@default")
    for value in filters:
        removes = value.startswith("~")
        for name in value.lstrip("~").split():
            members = _members(name)
            allowed = allowed - members if removes else allowed | members
    return allowed


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    lines = [line.strip() for line in analyze("syscall-filter", name).stdout.splitlines()[1:]]
    found: set[str] = set()
    for line in lines:
        if line and not line.startswith("#"):
            found |= _members(line)
    return found


def restrict(*files: Path) -> None:
    """Apply the restrictions of a unit and its drop-ins to this process and its children."""
    keys = keys_of(*files)
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(FAIL))
    families = [FAMILIES[name] for name in keys["RestrictAddressFamilies"][0].split()]
    for call in calls_of(*keys["SystemCallFilter"]) - {"socket"}:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # this machine's processor has it
            assert library.seccomp_rule_add(context, ALLOW, number, 0) == 0
    number = library.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        rule = _Comparison(arg=0, op=EQUAL, datum_a=family, datum_b=0)
        assert library.seccomp_rule_add(context, ALLOW, number, 1, rule) == 0
    process = ctypes.CDLL(None, use_errno=True)
    assert process.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if keys.get("MemoryDenyWriteExecute") == ["yes"]:
        assert process.prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    at = sys.argv.index("--")
    restrict(*map(Path, sys.argv[1:at]))
    os.execvp(sys.argv[at + 1], sys.argv[at + 1 :])  # noqa: S606 - the command of our own test
