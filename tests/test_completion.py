"""Completion scripts and manual pages, made from the parsers of the three programs."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stripwatch.cli.main import make_parser as stripwatch_parser
from stripwatch.errors import ExitCode
from stripwatch.service.program_parser import SHELLS
from stripwatch_engine.cli.flags import make_parser as build_parser
from stripwatch_train.cli.main import make_parser as train_parser

ROOT = Path(__file__).resolve().parents[1]
PARSERS = {
    "stripwatch": ("stripwatch", stripwatch_parser),
    "engine-build": ("stripwatch_engine", build_parser),
    "stripwatch-train": ("stripwatch_train", train_parser),
}


def words(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and, if it has them, its subcommands and their options."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(word for word in action.option_strings if word.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
            for inner in action.choices.values():
                found |= words(inner)
    return found


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", PARSERS)
def test_a_completion_script_names_every_command_and_option(program: str, shell: str) -> None:
    """And the shell can read it, where it is installed."""
    module, make_parser = PARSERS[program]
    done = subprocess.run(
        [sys.executable, "-m", module, "--print-completion", shell],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    # fish has options without their dashes.
    missing = {word for word in words(make_parser()) if word.lstrip("-") not in done.stdout}
    assert missing == set()
    subprocess.run([needs(shell), "-n"], input=done.stdout, text=True, check=True)


def test_bash_completes_commands_options_and_files(tmp_path: Path) -> None:
    """What a person types, and what the tab key makes of it."""
    (tmp_path / "config.toml").write_text("")
    script = """
    eval "$(python -m stripwatch --print-completion bash)"
    for words in "rel" "reload --dr" "run conf"; do
        COMP_WORDS=(stripwatch $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMPREPLY=(); _shtab_stripwatch; echo "${COMPREPLY[@]}"
    done
    """
    script = script.replace("python", sys.executable)
    done = subprocess.run(
        [needs("bash"), "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["reload", "--dry-run", "config.toml"], done.stderr


@pytest.mark.slow
def test_manual_pages_name_every_command_and_option(tmp_path: Path) -> None:
    """As `make man` writes them; groff finds no fault, and `man` shows every word."""
    venv = sys.prefix
    given = [f"VENV={venv}", f"MAN_FOLDER={tmp_path}", "-o", f"{venv}/.test", "man"]
    subprocess.run([needs("make"), *given], cwd=ROOT, check=True, capture_output=True)
    for program, (_, make_parser) in PARSERS.items():
        page = tmp_path / f"{program}.1"
        source = page.read_text().replace("\\-", "-")
        missing = {word for word in words(make_parser()) if word not in source}
        assert missing == {"--help"}, "which every program has"
        assert f"{program} - " in source, "the line that `apropos` searches"
        groff = [needs("groff"), "-man", "-ww", "-z", str(page)]
        assert subprocess.run(groff, capture_output=True, text=True, check=True).stderr == ""
