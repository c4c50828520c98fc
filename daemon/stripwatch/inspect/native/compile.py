"""Compile the native function; imports nothing of the package, so that a build hook can run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("findings.c")
LIBRARY = SOURCE.with_suffix(".so")
# No instructions that only the machine of the build has.
FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra")


def compile_library(library: Path = LIBRARY, source: Path = SOURCE) -> str:
    """Compile the library; returns why that is not possible, or an empty string."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return "there is no C compiler"
    # A daemon may have the present one loaded, and another build may be under way.
    fresh = library.with_suffix(f".{os.getpid()}.new")
    command = [compiler, *FLAGS, "-o", str(fresh), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{compiler} fails: {done.stderr.strip()}"
    fresh.replace(library)
    return ""


if __name__ == "__main__":
    sys.exit(compile_library() or None)
