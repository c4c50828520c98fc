"""Verdicts of a running daemon, across a kill."""

from __future__ import annotations

import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.line.test_restart import LINES, booked, journalled

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.testing import FakeCamera
from stripwatch.wire.event import StripEnd
from stripwatch.wire.verdict import Verdict

RULES = """
[grading]
grades = ["best", "worse"]
[[grading.rules]]
name = "inspected"
measure = "not_inspected_percent"
limit = 50
grade = "worse"
[[grading.rules]]
name = "defects"
measure = "count"
limit = 3
grade = "worse"
"""


@pytest.mark.slow
def test_a_strip_across_a_kill_has_the_verdict_that_grade_gives(
    daemon: Daemon, camera: FakeCamera, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two defects before it and two after it are four; the verdict says where it is from."""
    daemon.config.write_text(daemon.config.read_text() + RULES)
    defective = np.zeros(DAEMON_SHAPE, np.uint8)
    defective[10:14, 10:20] = 252

    def send(first: int, end: int) -> None:
        for seq in range(first, end):
            pixels = defective if seq % 5 == 0 else None
            header = {"strip": "coil-7", "line": seq * LINES, "end": seq == 19}
            camera.send("top", "s", seq, pixels, **header)

    process = daemon.start()
    daemon.wait_for("READY=1")
    send(0, 10)
    daemon.wait(lambda: booked(daemon.folder) == 9)
    process.kill()
    process.wait()
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    send(10, 20)
    daemon.wait(lambda: booked(daemon.folder) == 19)
    assert daemon.stop() == ExitCode.OK
    (end,) = (event for event in journalled(daemon.folder) if isinstance(event, StripEnd))
    assert isinstance(end.verdict, Verdict)
    assert (end.verdict.grade, end.verdict.source, end.verdict.is_final) == (
        "worse",
        "journal",
        True,
    )
    assert [rule.value for rule in end.verdict.rules] == [0, 4]
    assert main(["grade", "--last", "--config", str(daemon.config)]) == ExitCode.OK
    assert "coil-7: worse" in capsys.readouterr().out
