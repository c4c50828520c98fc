"""How much a service could do to its machine if it were taken over, as systemd counts it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.systemd.unit_files import DROP_INS, FOLDER, analyze


def exposure_of(unit: Path) -> float:
    """From 0, nothing, to 10, everything."""
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    print(found[0])
    return float(found[1])


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("stripwatch.service", 1.6),
        ("stripwatch-camera@.service", 1.6),
        ("stripwatch-page.service", 1.3),
        ("stripwatch-forward@.service", 1.3),
    ],
)
def test_a_unit_stays_below_its_limit(name: str, limit: float) -> None:
    assert exposure_of(FOLDER / name) <= limit


def test_without_a_gpu_the_daemon_needs_less(tmp_path: Path) -> None:
    """With the drop-in cpu.conf."""
    unit = Path(shutil.copy(FOLDER / "stripwatch.service", tmp_path))
    folder = tmp_path / "stripwatch.service.d"
    folder.mkdir()
    shutil.copy(DROP_INS / "cpu.conf", folder)
    assert exposure_of(unit) <= 1.3
