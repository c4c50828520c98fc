"""Progress: an estimate of the time left, and lines of text where there is no terminal."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from stripwatch.service import console
from stripwatch.service.console import Estimate, ProgressBar, duration_text, plain_console


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")],
)
def test_a_duration_has_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_time_left_follows_from_the_steps_done() -> None:
    """Three of ten steps in 6 seconds: seven are left, 14 seconds."""
    estimate = Estimate()
    estimate.update("verifying", 0, 10, 100.0)
    assert estimate.text(101.0) == "verifying, 0 of 10"
    estimate.update("verifying", 3, 10, 106.0)
    assert estimate.left_s(106.0) == pytest.approx(14.0)
    assert estimate.text(106.0) == "verifying, 3 of 10, about 14 s left"


def test_other_work_begins_another_estimate() -> None:
    """Its first step need not be 0, and work without steps has no estimate."""
    estimate = Estimate()
    estimate.update("reading", 9, 10, 0.0)
    estimate.update("building", 5, 10, 50.0)
    assert estimate.left_s(60.0) is None
    estimate.update("building", 6, 10, 52.0)
    assert estimate.left_s(52.0) == pytest.approx(8.0)
    estimate.update("writing", 0, 0, 60.0)
    assert estimate.text(70.0) == "writing"


def test_without_a_terminal_progress_is_lines_of_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without control characters; nothing at all where the work is short."""
    with ProgressBar() as progress:
        progress.show("verifying", 1, 8)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(console, "QUIET_S", 0.05)
    monkeypatch.setattr(console, "LINE_INTERVAL_S", 0.05)
    printed = ""
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: 100.0))
    progress = ProgressBar()
    progress.show("verifying", 1, 8)
    with progress:
        while printed.count("\n") < 2:
            time.sleep(0.02)
            printed += capsys.readouterr().err
    lines = printed.splitlines()
    assert lines[0] == "0 s: verifying, 1 of 8"
    assert "\x1b" not in printed


def test_without_a_terminal_no_line_is_wrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command in a log can be copied; a width that is set counts."""
    monkeypatch.delenv("COLUMNS", raising=False)
    text = "engine-build " + "model.onnx " * 40
    plain_console().print(text)
    assert capsys.readouterr().out == f"{text}\n"
    monkeypatch.setenv("COLUMNS", "80")
    plain_console().print(text)
    assert capsys.readouterr().out.count("\n") > 4
