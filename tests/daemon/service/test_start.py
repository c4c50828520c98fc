"""A command that is interrupted while it loads ends in silence."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib import import_module

import pytest

from stripwatch.service.start import loading

INTERRUPTED = """
import sys, time
from stripwatch.service.start import loading
with loading():
    print("loading", flush=True)
    time.sleep(60)
"""


def test_sigint_while_a_command_loads_ends_it_without_a_word() -> None:
    """By the signal itself, which a shell shows as 130."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_afterwards_sigint_raises_as_before() -> None:
    """Also where an import fails."""
    with pytest.raises(ModuleNotFoundError), loading():
        import_module("stripwatch.nothing")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_sigint_that_is_ignored_stays_ignored() -> None:
    """As a shell script wishes for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with loading():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# What comes before it is Python's own start.
TOLD = """
import runpy, sys
from contextlib import contextmanager
from stripwatch.service import start
loading = start.loading
@contextmanager
def told():
    with loading():
        print("loading", flush=True)
        yield
start.loading = told
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["stripwatch", "stripwatch_engine", "stripwatch_train"])
def test_every_command_loads_in_that_way(module: str) -> None:
    """SIGINT at several moments of its start."""
    started_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    python_s = time.monotonic() - started_s
    for share in (0, 1, 3, 6):
        process = subprocess.Popen(
            [sys.executable, "-c", TOLD, module, "--help"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        time.sleep(share * python_s)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        assert process.returncode in (0, 130, -signal.SIGINT)
