"""A kernel that traps in the engine's context, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stripwatch.errors import BrokenDeviceError

SCRIPT = Path(__file__).with_name("trap.py")


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_after_a_trap_the_line_recovers_or_ends_at_once(
    tiny_engine: Path, gpu_environment: dict[str, str]
) -> None:
    """Which of the two is the driver's choice; nothing crashes, hangs or tries for long."""
    done = subprocess.run(
        [sys.executable, SCRIPT, tiny_engine],
        env=gpu_environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print("after a trap:", found)
    if found["outcome"] == "recovered":
        assert found["engines"] == 2
    else:
        assert found["kind"] == BrokenDeviceError.__name__
        assert found["engines"] == 1
