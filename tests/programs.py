"""Programs and libraries of Debian that tests need."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


class NotHere(Exception):
    """Something that is needed is not here; the message says what."""


def find_program(name: str, package: str) -> str:
    """The path of a program; Debian's package is installed where that is allowed.

    Raises:
        NotHere: there is none, and it cannot be installed.
    """
    path = f"{os.environ['PATH']}:/usr/sbin"
    _install(package, lambda: shutil.which(name, path=path) is not None)
    found = shutil.which(name, path=path)
    if found is None:
        raise NotHere(f"no {name} here, and it cannot be installed: apt-get install {package}")
    return found


def program(name: str, package: str) -> str:
    """The same; the test is skipped where there is none."""
    try:
        return find_program(name, package)
    except NotHere as error:
        pytest.skip(str(error))


def need_library(name: str, package: str) -> None:
    """Install Debian's package of a shared library where that is allowed, else skip."""
    _install(package, lambda: _loads(name))
    if not _loads(name):
        pytest.skip(f"no {name}, and it cannot be installed: apt-get install {package}")


def _install(package: str, is_there: Callable[[], bool]) -> None:
    """Install a package, unless another test process has; apt-get does not wait for others."""
    apt_get = shutil.which("apt-get")
    if is_there() or os.geteuid() != 0 or not apt_get:
        return
    with (Path(tempfile.gettempdir()) / "stripwatch-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_there():
            return
        # Packages do not start their services in runlevel 1.
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                [apt_get, "-q", *command], env=environment, capture_output=True, check=False
            )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
