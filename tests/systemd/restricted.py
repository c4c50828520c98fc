"""Run a command under the restrictions that a unit names, without a running systemd.

    python -m tests.systemd.restricted UNIT [DROP-IN ...] -- COMMAND ...

It applies `SystemCallFilter=`, `RestrictAddressFamilies=` and `MemoryDenyWriteExecute=` through
libseccomp, by the rules of systemd 252 (src/shared/seccomp-util.c). What the file system shows, and
which user runs, are the caller's business.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.systemd.unit_files import analyze, keys_of

ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW of seccomp.h
FAIL = 0x00050000 | errno.EPERM  # SCMP_ACT_ERRNO(EPERM)
EQUAL = 4  # SCMP_CMP_EQ
MASKED_EQUAL = 7  # SCMP_CMP_MASKED_EQ
PR_SET_NO_NEW_PRIVS = 38
WRITE_AND_EXECUTE = mmap.PROT_WRITE | mmap.PROT_EXEC


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def calls_of(filters: Iterable[str]) -> set[str]:
    """The system calls that the values of SystemCallFilter= allow together."""
    groups = _groups()
    allowed = _members("@default", groups)
    for value in filters:
        for name in value.lstrip("~").split():
            members = _members(name, groups)
            allowed = allowed - members if value.startswith("~") else allowed | members
    return allowed


def _groups() -> dict[str, list[str]]:
    """What systemd's groups of system calls hold: names, and other groups."""
    groups: dict[str, list[str]] = {}
    for line in analyze("syscall-filter").stdout.splitlines():
        name = line.strip()
        if line.startswith("@"):
            members = groups[name] = []
        elif line.startswith("#"):
            members = []  # of calls that are in no group
        elif name and not name.startswith("#"):
            members.append(name)
    return groups


def _members(name: str, groups: dict[str, list[str]]) -> set[str]:
    if not name.startswith("@"):
        return {name}
    return {call for member in groups[name] for call in _members(member, groups)}


def restrict(*files: Path) -> None:
    """Apply the restrictions of a unit and its drop-ins to this process and its children."""
    keys = keys_of(*files)
    rules: dict[str, list[_Comparison | None]] = {
        call: [None] for call in calls_of(keys["SystemCallFilter"])
    }
    rules["socket"] = [
        _Comparison(0, EQUAL, getattr(socket, family), 0)
        for family in keys["RestrictAddressFamilies"][0].split()
    ]
    if keys.get("MemoryDenyWriteExecute") == ["yes"]:
        rules["mmap"] = [
            _Comparison(2, MASKED_EQUAL, WRITE_AND_EXECUTE, value)
            for value in (0, mmap.PROT_WRITE, mmap.PROT_EXEC)
        ]
        rules["mprotect"] = rules["pkey_mprotect"] = [
            _Comparison(2, MASKED_EQUAL, mmap.PROT_EXEC, 0)
        ]
    process = ctypes.CDLL(None, use_errno=True)
    if process.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    _load(rules)


def _load(rules: dict[str, list[_Comparison | None]]) -> None:
    """Allow these calls, where one of the comparisons holds, and fail all others."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(FAIL))
    for call, comparisons in rules.items():
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            continue  # of another processor
        for comparison in comparisons:
            arguments = [] if comparison is None else [comparison]
            code = library.seccomp_rule_add(context, ALLOW, number, len(arguments), *arguments)
            if code != 0:
                raise OSError(-code, f"seccomp_rule_add: {call}")
    code = library.seccomp_load(context)
    if code != 0:
        raise OSError(-code, "seccomp_load")


if __name__ == "__main__":
    at = sys.argv.index("--")
    restrict(*map(Path, sys.argv[1:at]))
    os.execvp(sys.argv[at + 1], sys.argv[at + 1 :])  # noqa: S606 - the command of our own test
