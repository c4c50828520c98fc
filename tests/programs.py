"""Programs of Debian that tests need."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def program(name: str, package: str) -> str:
    """The path of a program; Debian's package is installed where that is allowed, else skipped."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    apt_get = shutil.which("apt-get")
    if shutil.which(name, path=path) is None and os.geteuid() == 0 and apt_get:
        # Packages do not start their services in runlevel 1.
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                [apt_get, "-q", *command], env=environment, capture_output=True, check=False
            )
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"no {name} here, and it cannot be installed: apt-get install {package}")
    return found
