"""The units of systemd/ as systemd reads them: keys may repeat, a drop-in adds or resets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.programs import program

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "systemd"
DROP_INS = FOLDER / "drop-ins"
PROGRAM = "/opt/stripwatch/bin/stripwatch"


def keys_of(*files: Path, section: str = "Service") -> dict[str, list[str]]:
    """All values of the keys of one section, of a unit and its drop-ins, in their order."""
    found: dict[str, list[str]] = {}
    for file in files:
        current = ""
        for line in file.read_text().splitlines():
            if line.startswith("["):
                current = line.strip("[]")
            elif current == section and "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                found[key] = [*found.get(key, []), value] if value else []
    return found


def value_of(unit: Path, key: str) -> str:
    """The value of a key that [Service] has once."""
    (value,) = keys_of(unit)[key]
    return value


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze`, which needs no running systemd."""
    command = [program("systemd-analyze", "systemd"), "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def systemd_version() -> int:
    """Of the machine that runs the tests."""
    return int(analyze("--version").stdout.split()[1])


def runnable_copy(folder: Path, *names: str) -> list[Path]:
    """Copies of units that name a program which this machine has; templates get an instance."""
    copies = []
    for name in names:
        text = (FOLDER / name).read_text()
        copies.append(folder / name.replace("@.", "@mqtt."))
        copies[-1].write_text(text.replace(PROGRAM, sys.executable))
    return copies
