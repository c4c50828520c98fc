"""The part journal of the bench: it loses nothing, and asks what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.lab.bench import journal_load
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.bench.journal_questions import large_journal


@pytest.mark.slow
def test_every_event_reaches_the_subscriber(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without removal all stay, with it few; figures are there, their values are not tested."""
    monkeypatch.setattr(journal_load, "SETTLE_S", 0.2)
    figures = journal_load.journal(BenchSetup((8, 32), 4, 2.0, tmp_path), 1000)
    modes = figures["modes"]
    assert isinstance(modes, list)
    keeps_all, keeps_little = modes
    assert keeps_all["missing"] == keeps_little["missing"] == 0
    assert keeps_all["kept"] == 2 + int(2.2 * 10_000 / 12) * 12  # and daemon_start, daemon_stop
    assert keeps_little["kept"] < keeps_all["kept"]
    assert 0 < float(keeps_all["p50_ms"]) <= float(keeps_all["p99_ms"])


def test_a_large_journal_answers_every_question() -> None:
    """Small here; each kind has percentiles and a goal."""
    figures, goals = large_journal(500)
    assert figures["events"] == 500
    answers = figures["answers_ms"]
    assert isinstance(answers, dict)
    assert set(answers) == {"by number", "by strip", "by time"}
    assert len(goals) == 2
