"""How the page gives way to the line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stripwatch.service.priority import AUTOGROUP, NICENESS

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


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not group by session")
def test_a_session_of_its_own_gives_way_whole() -> None:
    """A niceness counts only inside it; the session of somebody else is left as it is."""
    script = SCRIPT.format(before=0) + f"print(open({str(AUTOGROUP)!r}).read().split()[-1])"
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        pytest.skip("these tests run with a higher niceness, which may not be lowered here")
    before = AUTOGROUP.read_text().split()[-1]
    for own, expected in ((True, str(NICENESS)), (False, before)):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            start_new_session=own,
        )
        assert done.stdout.split()[-1] == expected
