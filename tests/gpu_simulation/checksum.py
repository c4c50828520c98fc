"""Checksum of the simulated GPU and its tests: they have passed on what tested.sha256 holds.

python tests/gpu_simulation/checksum.py     writes it; `make test-simulation` does so at its end
"""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTED = HERE / "tested.sha256"
SUFFIXES = (".c", ".h", ".py", ".sh")
# The libraries that the simulation imitates, is compiled into, or computes with.
LIBRARIES = ("onnxruntime", "pycuda", "tensorrt_rtx_cu13")


def current() -> str:
    """SHA-256, in hex, of every source file here and of the pinned versions of the libraries."""
    digest = hashlib.sha256()
    for path in sorted(path for path in HERE.rglob("*") if path.suffix in SUFFIXES):
        digest.update(f"{path.relative_to(HERE)}\n".encode() + path.read_bytes())
    pins = (HERE.parents[1] / "constraints.txt").read_text().splitlines()
    for pin in pins:
        if pin.split("==")[0] in LIBRARIES:
            digest.update(f"{pin}\n".encode())
    return digest.hexdigest()


def is_tested() -> bool:
    """Whether the simulation's own tests have passed on it as it is now."""
    return TESTED.is_file() and TESTED.read_text().strip() == current()


if __name__ == "__main__":
    TESTED.write_text(f"{current()}\n")
