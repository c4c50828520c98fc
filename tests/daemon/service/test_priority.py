"""How the page gives way to the line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stripwatch.service.priority import NICENESS

SCRIPT = """
import os, threading
from stripwatch.service.priority import give_way
os.setpriority(os.PRIO_PROCESS, 0, {before})
done = threading.Event()
def run():
    done.wait()
    print(os.getpriority(os.PRIO_PROCESS, 0))
thread = threading.Thread(target=run)
thread.start()
give_way()
print(os.getpriority(os.PRIO_PROCESS, 0))
done.set()
thread.join()
"""


@pytest.mark.parametrize("before", [0, NICENESS, 15])
def test_niceness_is_raised_where_it_is_lower_and_never_lowered(before: int) -> None:
    """Of all its threads."""
    if os.getpriority(os.PRIO_PROCESS, 0) > before:
        pytest.skip("these tests run with a higher niceness, which may not be lowered here")
    command = [sys.executable, "-c", SCRIPT.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(max(before, NICENESS))] * 2
