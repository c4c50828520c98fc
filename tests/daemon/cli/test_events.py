"""`stripwatch events` on a running pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.resources import resource_path
from stripwatch.testing import fake_line
from stripwatch.wire.event import Defect, Gap

SHAPE = (32, 64)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_events_and_saves_overlays(tmp_path: Path, *, as_json: bool) -> None:
    """A line of text for each event, JSON exactly as published, PNGs."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[4:9, 5:20] = 252
    flags = ["--json"] if as_json else []
    with fake_line(frame_shape=SHAPE) as line:
        command = [sys.executable, "-m", "stripwatch", "events", "--count", "3", *flags]
        command += ["--endpoint", line.events_endpoint, "--save-overlays", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
            line.wait(lambda: line.pipeline.publisher.subscriptions >= 5)
            for seq in range(4):
                line.camera.send("top", "s", seq, pixels)
            out, _ = events.communicate(timeout=30)
    rows = out.splitlines()
    assert len(rows) == 3
    if as_json:
        published = [event for event in line.events if isinstance(event, Defect)]
        assert [msgspec.json.decode(row, type=Defect) for row in rows] == published[:3]
    else:
        assert all("kind1" in row for row in rows)
    assert (tmp_path / "no-coil_top_000000000_s.png").is_file()


def test_events_of_the_journal_are_printed_from_a_number_and_for_a_reader() -> None:
    """A reader goes on behind the event that was printed last."""
    with fake_line() as line:
        for seq in range(0, 20, 2):  # nine gaps: events 2 to 10
            line.camera.send("top", "s", seq)
        line.wait(lambda: line.pipeline.outbox.last_seq >= 10)
        command = [sys.executable, "-m", "stripwatch", "events", "--json", "--topic", "gap"]
        command += ["--endpoint", line.events_endpoint, "--requests", line.requests_endpoint]
        printed = []
        for flags in (
            ["--since", "5", "--count", "5"],
            ["--since", "0", "--reader", "press", "--count", "3"],
            ["--reader", "press", "--count", "2"],
        ):
            done = subprocess.run(
                [*command, *flags], capture_output=True, text=True, check=True, timeout=60
            )
            rows = done.stdout.splitlines()
            printed.append([msgspec.json.decode(row, type=Gap).seq for row in rows])
    assert printed == [[6, 7, 8, 9, 10], [2, 3, 4], [5, 6]]


def test_without_an_address_to_ask_the_journal_cannot_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["events", "--endpoint", "tcp://127.0.0.1:9", "--since", "0"]
    assert main(arguments) == ExitCode.CONFIG
    assert "--requests ADDRESS" in capsys.readouterr().err


def test_where_no_daemon_is_heard_the_command_prints_so(endpoint: str) -> None:
    """A running daemon publishes its status each second, so that silence is known."""
    command = [sys.executable, "-m", "stripwatch", "events", "--endpoint", endpoint]
    done = subprocess.run(
        [*command, "--duration", "3.5"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == ExitCode.ADDRESS
    assert (
        f"no daemon has been heard at {endpoint} for 3 s; check that stripwatch run" in done.stderr
    )


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("nonsense", "no topic begins with 'nonsense'; topics: defect, gap"),
        ("defects", "did you mean defect?"),
        ("def.top", "did you mean defect?"),
    ],
)
def test_a_topic_that_does_not_exist_is_refused(
    topic: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["events", "--endpoint", "tcp://127.0.0.1:1", "--topic", topic])
    assert words in capsys.readouterr().err


def test_a_topic_of_a_camera_that_does_not_exist_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = str(resource_path("config.toml"))
    assert main(["events", "--config", config, "--topic", "gap.topp"]) == ExitCode.CONFIG
    assert "has no camera topp; it has: top, bottom" in capsys.readouterr().err
