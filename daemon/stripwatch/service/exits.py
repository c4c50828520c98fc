"""Exit of every command: an error becomes one sentence and a named exit code."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from stripwatch.errors import (
    AddressError,
    CameraError,
    ConfigError,
    DeviceError,
    ExitCode,
    ModelError,
    StorageError,
    StripwatchError,
)
from stripwatch.service.extras import missing_extra
from stripwatch.service.journald import is_journal, with_priority

STDERR = 2

_CODES: dict[type[StripwatchError], ExitCode] = {
    AddressError: ExitCode.ADDRESS,  # before its base class ConfigError
    ConfigError: ExitCode.CONFIG,
    ModelError: ExitCode.MODEL,
    CameraError: ExitCode.CAMERA,  # before its base class DeviceError
    DeviceError: ExitCode.DEVICE,
    StorageError: ExitCode.STORAGE,
}


def guarded(command: Callable[[], ExitCode]) -> ExitCode:
    """Run a command; turn its errors into a sentence on stderr and an exit code.

    Standard output is flushed here, so that a full disk or a reader that has gone is an exit code
    as well.
    """
    _prepare_streams()
    try:
        code = _run(command)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError as error:
        if _has_no_reader(sys.stdout):  # `stripwatch events | head`
            return _discard_output(ExitCode.OK)
        return _failed(ExitCode.STORAGE, _words(error))
    except (StripwatchError, ModuleNotFoundError, OSError) as error:
        return _failed(*_code_and_sentence(error))
    return code


def leave(code: int) -> int:
    """Return an exit code, or end the process with it where threads still run.

    Such as those of a daemon whose time to stop was up. Python ends them when they next want its
    lock, and a library in C++ that they are in answers with SIGABRT.
    """
    if not any(thread.daemon for thread in threading.enumerate()):
        return code
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _run(command: Callable[[], ExitCode]) -> ExitCode:
    try:
        return command()
    except SystemExit as ended:
        # rich ends the process in place of raising the error; argparse ends it after --help.
        if isinstance(ended.__context__, BrokenPipeError):
            return ExitCode.OK
        sys.stdout.flush()
        raise


def _code_and_sentence(
    error: StripwatchError | ModuleNotFoundError | OSError,
) -> tuple[ExitCode, str]:
    if isinstance(error, OSError):
        return ExitCode.STORAGE, _words(error)
    if isinstance(error, ModuleNotFoundError):
        sentence = missing_extra(error)
        if sentence is None:
            raise error
        return ExitCode.CONFIG, sentence
    codes = (code for kind, code in _CODES.items() if isinstance(error, kind))
    return next(codes, ExitCode.FAILURE), str(error)


def _words(error: OSError) -> str:
    """The sentence for an error that no rule covers: of a file, or else of the output."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename} cannot be read or written: {reason}"
    return (
        f"the output cannot be written: {reason}; free space on the disk, or send the output "
        "elsewhere"
    )


def _failed(code: ExitCode, sentence: str) -> ExitCode:
    with suppress(OSError):  # stderr may be what cannot be written; the exit code remains
        line = f"error: {sentence}\n"
        sys.stderr.write(with_priority("error", line) if is_journal(STDERR) else line)
        sys.stderr.flush()
    return _discard_output(code) if _cannot_flush(sys.stdout) else code


def _cannot_flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    return False


def _has_no_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe or socket whose other end is closed."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except OSError:  # no file of the system
        return False


def _discard_output(code: ExitCode) -> ExitCode:
    """Let the end of the process find an output that can be written; returns `code`."""
    with suppress(OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    return code


def _prepare_streams() -> None:
    """Give streams that the caller has closed a file, and let any name be printed.

    Python leaves a closed stream as None, and a file opened later would take its number. Writing
    to a closed standard output fails; a closed standard error swallows what is written.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names that are not UTF-8
