"""Exit codes and sentences of every command, whatever becomes of its output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stripwatch.errors import AddressError, ConfigError, ExitCode, StorageError
from stripwatch.service.exits import guarded
from stripwatch.service.extras import missing_extra

HELP_PROGRAMS = ("stripwatch", "stripwatch_engine", "stripwatch_train")


def raising(error: BaseException) -> ExitCode:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("give --x"), ExitCode.CONFIG, "error: give --x"),
        (AddressError("in use"), ExitCode.ADDRESS, "error: in use"),
        (StorageError("gone"), ExitCode.STORAGE, "error: gone"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, ""),
        (OSError(28, "No space left", "a.png"), ExitCode.STORAGE, "a.png cannot be read or"),
        (OSError(28, "No space left"), ExitCode.STORAGE, "the output cannot be written: No space"),
        (ModuleNotFoundError(name="torch.nn"), ExitCode.CONFIG, "pip install '.[train]'"),
        (ModuleNotFoundError(name="onnx"), ExitCode.CONFIG, "pip install '.[build]'"),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(
    error: BaseException, code: ExitCode, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: raising(error)) == code
    assert words in capsys.readouterr().err


def test_a_module_that_is_missing_by_our_own_fault_is_raised() -> None:
    with pytest.raises(ModuleNotFoundError):
        guarded(lambda: raising(ModuleNotFoundError(name="stripwatch.nothing")))


def test_every_library_of_an_extra_is_known() -> None:
    """`optional-dependencies` of pyproject.toml, by the names that Python imports."""
    for module in ("torch", "lightning", "matplotlib", "nncf", "pycuda", "tensorrt_rtx", "google"):
        assert "pip install '.[" in (missing_extra(ModuleNotFoundError(name=module)) or "")


def run(
    program: str, output: str, before: str = "unset PYTHONUNBUFFERED;", option: str = "--help"
) -> subprocess.CompletedProcess[str]:
    """Run `PROGRAM --help` with its output redirected by a shell."""
    return subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'{before} "$0" -m {program} {option} {output}',
            sys.executable,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("program", HELP_PROGRAMS)
def test_a_full_disk_behind_the_output_is_a_sentence(program: str) -> None:
    done = run(program, "> /dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.STORAGE, 1)
    assert "the output cannot be written: No space left on device" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("program", HELP_PROGRAMS)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_disk_is_a_sentence_without_a_buffer_too(program: str, option: str) -> None:
    """argparse itself drops the error that a write raises at once."""
    done = run(program, "> /dev/full", "PYTHONUNBUFFERED=1", option)
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.STORAGE, 1)


@pytest.mark.parametrize("program", HELP_PROGRAMS)
def test_a_closed_output_is_a_sentence(program: str) -> None:
    done = run(program, ">&-")
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.STORAGE, 1)
    assert "the output cannot be written" in done.stderr


def test_a_reader_that_has_gone_is_no_error() -> None:
    """As in `stripwatch events | head`; nothing is printed about it."""
    with subprocess.Popen(
        [sys.executable, "-m", "stripwatch", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == ExitCode.OK


def test_an_error_is_an_exit_code_where_stderr_is_closed() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -m stripwatch check nothing.toml 2>&-', sys.executable],
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitCode.CONFIG


@pytest.mark.parametrize("output", ["", "said before the end"])
def test_a_process_ends_with_its_code_while_threads_are_in_a_library(output: str) -> None:
    """In C++, which does not bear the way in which Python ends threads."""
    script = """
import sys, threading, time
import cv2, numpy as np
from stripwatch.service.exits import leave

def work():
    image = np.zeros((200, 200), np.uint8)
    while True:
        cv2.blur(image, (3, 3))

threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
sys.stdout.write(sys.argv[1])
sys.exit(leave(9))
"""
    command = [sys.executable, "-c", script, output]
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (9, output, "")
