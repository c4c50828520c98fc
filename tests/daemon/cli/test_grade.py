"""`stripwatch grade`: verdicts from the journal, by the configuration's rules and by others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.daemon.inspect.grading.strips import STRIP, MadeStrip
from tests.daemon.journal.strip_journal import CONFIG, RULES, write_config, write_journal

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a line whose journal has one strip, with two pits and a gap."""
    strip = MadeStrip()
    strip.defect(10_000.0)
    strip.defect(20_000.0, side="bottom")
    strip.gap(50.0, 2.0)
    write_journal(tmp_path / "journal", strip)
    return str(write_config(tmp_path))


def test_a_strip_is_graded_by_the_rules_of_the_configuration(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text with values, limits and places, and as JSON."""
    assert main(["grade", "--last", "--config", config]) == ExitCode.OK
    text = capsys.readouterr().out
    for words in (
        f"strip {STRIP}: worse, of best > worse",
        "kept     inspected: not_inspected_m 2 m, limit 5 m",
        "worse    pits: count 2, limit 1",
        "top: pits 10.000-10.010 m, 400.0-410.0 mm across, event",
        "cut out  10-10.01, 20-20.01 m",
        "usable 99.98 m",
    ):
        assert words in text
    assert main(["grade", STRIP, "--config", config, "--json"]) == ExitCode.OK
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["grade"], verdict["rules"][1]["value"]) == ("worse", 2)


def test_other_rules_tell_what_would_have_been(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a file with only `[grading]`, or another whole configuration."""
    for text in (RULES, CONFIG + RULES):
        other = tmp_path / "other.toml"
        other.write_text(text.replace("limit = 1\n", "limit = 2\n"))
        assert main(["grade", STRIP, "--config", config, "--rules", str(other)]) == ExitCode.OK
        assert "C-4711: best" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("x = 1", "lacks the key grading"),
        (RULES.replace("worse", "bad", 1), "'worse' is not in grading.grades"),
        (RULES.replace("limit", "limits"), "did you mean limit?"),
        (CONFIG, "lacks the key grading"),
        ("[grading]", "has no [[grading.rules]]"),
        ("[[", "is not TOML"),
    ],
)
def test_wrong_rules_are_named(
    config: str, rules: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(rules)
    arguments = ["grade", STRIP, "--config", config, "--rules", str(other)]
    assert main(arguments) == ExitCode.CONFIG
    assert words in capsys.readouterr().err


def test_what_cannot_be_graded_is_said(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strip that is not there, a journal that is not, a configuration without rules."""
    assert main(["grade", "X", "--config", config]) == ExitCode.CONFIG
    assert STRIP in capsys.readouterr().err
    arguments = ["grade", STRIP, "--config", config, "--journal", str(tmp_path / "none")]
    assert main(arguments) == ExitCode.STORAGE
    assert "does not exist" in capsys.readouterr().err
    plain = write_config(tmp_path, CONFIG)
    assert main(["grade", STRIP, "--config", str(plain)]) == ExitCode.CONFIG
    assert "docs/grading.md" in capsys.readouterr().err
