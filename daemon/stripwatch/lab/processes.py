"""The project's own commands as child processes, stopped when their block ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stripwatch.config.sections import Config
from stripwatch.config.toml import config_toml
from stripwatch.errors import StripwatchError
from stripwatch.service.signals import end_process

STOP_MARGIN_S = 10.0  # over the daemon's own limit for draining
LOG_CHARACTERS = 2000  # of a failed process, shown in the error

Process = subprocess.Popen[bytes]


@contextmanager
def command_process(
    module: str, arguments: list[str], stop_timeout_s: float, log: Path | None = None
) -> Iterator[Process]:
    """Run `python -m module` for the length of a block.

    Args:
        module: of the command, "stripwatch" or "stripwatch_engine".
        arguments: of the command.
        stop_timeout_s: from SIGTERM at the block's end to SIGKILL.
        log: receives all output of the process; an error in the block then shows its end.
            None: errors go to our own stderr.

    Raises:
        StripwatchError: as raised in the block, with the end of the log.
    """
    with ExitStack() as files:
        output = files.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            # A new session: Ctrl-C on the terminal reaches only us, and we stop the process.
            start_new_session=True,
        )
    try:
        yield process
    except StripwatchError as error:
        raise type(error)(f"{error}{_log_tail(log)}") from error
    finally:
        end_process(process, stop_timeout_s)


def _log_tail(log: Path | None) -> str:
    """The end of a log as the rest of an error; a full disk in place of a log that is empty."""
    if log is None:
        return ""
    tail = log.read_text(errors="replace")[-LOG_CHARACTERS:]
    if tail:
        return f"\n{log}:\n{tail}"
    full = shutil.disk_usage(log.parent).free < LOG_CHARACTERS
    return f"; the disk of {log.parent} is full, free some space" if full else ""


@contextmanager
def daemon_process(config: Config, path: Path, log: Path | None = None) -> Iterator[Process]:
    """Write a configuration to `path` and run the daemon with it for the length of a block."""
    path.write_text(config_toml(config), encoding="utf-8")
    stop_timeout_s = config.service.drain_timeout_s + STOP_MARGIN_S
    with command_process("stripwatch", ["run", str(path)], stop_timeout_s, log) as process:
        yield process
