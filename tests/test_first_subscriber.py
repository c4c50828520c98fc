"""The programs of docs/tutorial-first-subscriber.md do what the page says."""

from __future__ import annotations

import functools
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stripwatch.testing import fake_line

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial-first-subscriber.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
HEADING = "camera,strip,class,downweb_mm,crossweb_mm,width_mm,height_mm"
ROW = "top,C1,kind1,2.5,6.0,6.0,1.0"
DEFECT = "top: kind1, 6 x 1 mm"
GAP = "top: frames 1 to 1 not inspected: lost"
END = "events missed by this program: 0"


@pytest.mark.parametrize(
    ("program", "topics", "printed", "rows"),
    [
        (PROGRAMS[0], 1, [DEFECT], []),
        (PROGRAMS[1], 1, [], [HEADING, ROW]),
        (PROGRAMS[2], 3, [GAP, END], [HEADING, ROW]),
    ],
    ids=["print", "csv", "gaps"],
)
def test_a_program_reports_a_defect_and_a_gap(
    program: str, topics: int, printed: list[str], rows: list[str], tmp_path: Path
) -> None:
    """Until Ctrl-C, which the programs after the first end on without a traceback."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2, 3:9] = 252
    table = tmp_path / "defects.csv"
    with fake_line() as line:
        program = program.replace("tcp://127.0.0.1:5551", line.events_endpoint)
        with subprocess.Popen(
            [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        ) as subscriber:
            assert subscriber.stdout
            line.wait(lambda: line.pipeline.publisher.subscriptions >= topics + 1)
            line.camera.send("top", "s", 0, pixels, strip="C1", line=0)
            line.camera.send("top", "s", 2, strip="C1", line=16)
            found = [subscriber.stdout.readline() for _ in printed[:1]]
            if rows:
                line.wait(lambda: table.read_text().count("\n") == len(rows))
            subscriber.send_signal(signal.SIGINT)
            found += subscriber.stdout.readlines()
    assert [text.rstrip() for text in found] == printed
    assert not rows or table.read_text().splitlines() == rows


def test_the_program_with_a_reader_goes_on_where_it_was() -> None:
    """Ended, it has the events of the meantime when it is started again."""
    pixels = np.zeros((8, 32), np.uint8)
    pixels[2, 3:9] = 252
    with fake_line() as line:
        program = PROGRAMS[3].replace("tcp://127.0.0.1:5551", line.events_endpoint)
        program = program.replace("tcp://127.0.0.1:5552", line.requests_endpoint)

        def printed(count: int, meanwhile: Callable[[], None]) -> list[str]:
            """The first lines of the program, which is then ended with Ctrl-C."""
            with subprocess.Popen(
                [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True
            ) as subscriber:
                assert subscriber.stdout
                line.wait(line.has_readers)
                meanwhile()
                lines = [subscriber.stdout.readline().rstrip() for _ in range(count)]
                subscriber.send_signal(signal.SIGINT)
                assert subscriber.wait(20) == 0
            return lines

        send = functools.partial(line.camera.send, "top", "s")
        assert printed(1, lambda: send(0, pixels)) == ["2: kind1 on top"]
        send(2, pixels)
        line.wait_for_frame("top", "s", 2)
        found = printed(3, lambda: send(3, pixels))
        if found[0] == "2: kind1 on top":  # ended before it was done
            found = [*found[1:], "5: kind1 on top"]
        assert found == ["3: 1 frames not inspected: lost", "4: kind1 on top", "5: kind1 on top"]
