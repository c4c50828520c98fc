"""`stripwatch reload`: what a daemon would take over from its configuration, and SIGHUP."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from stripwatch.errors import AddressError, ExitCode, ModelError
from stripwatch.service.reload import Reload, load_reload
from stripwatch.service.running import find_running

POLL_S = 0.2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "reload",
        allow_abbrev=False,
        help="let a running daemon take over a changed configuration",
        description="Print what has changed since the daemon read its configuration, check it, "
        "send SIGHUP, and wait for the result. Engine, classes, cameras, rolls, grading and log "
        "level change while frames flow; exit code 8 says that other changes still need a restart.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML", help="of the running daemon")
    parser.add_argument("--dry-run", action="store_true", help="print and check, change nothing")
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")
    parser.set_defaults(command=_reload)


def _reload(args: argparse.Namespace) -> ExitCode:
    pid, running = find_running(args.config)
    reload = load_reload(args.config, running.config, running.model)
    if not args.json:
        _print_changes(pid, reload)
    if not args.dry_run:
        try:
            os.kill(pid, signal.SIGHUP)
        except OSError as error:
            raise AddressError(f"process {pid} takes no signal: {error.strerror}") from error
        _wait(args.config, pid, running.reloads)
    if args.json:
        done = {
            "pid": pid,
            "reloaded": not args.dry_run,
            "changes": reload.changes,
            "need_restart": reload.ignored,
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(done), indent=2).decode() + "\n")
    else:
        sys.stdout.write("nothing was changed (--dry-run)\n" if args.dry_run else "reloaded\n")
    return ExitCode.DIFFERENT if reload.ignored else ExitCode.OK


def _print_changes(pid: int, reload: Reload) -> None:
    number = len(reload.changes)
    sys.stdout.write(f"process {pid}: {number or 'no'} change{'s' * (number != 1)} to take over\n")
    sys.stdout.writelines(f"  {change}\n" for change in reload.changes)
    if reload.ignored:
        sys.stdout.write("these need a restart:\n")
        sys.stdout.writelines(f"  {change}\n" for change in reload.ignored)
    sys.stdout.flush()  # the engine may take minutes to load


def _wait(config: Path, pid: int, reloads: int) -> None:
    """Wait for the end of the reload.

    Raises:
        AddressError: the daemon ended meanwhile.
        ModelError: it could not make the change; the running engine stays.
    """
    while True:
        time.sleep(POLL_S)
        now, running = find_running(config)
        if now != pid:
            raise AddressError(f"process {pid} ended before it had reloaded; see its log")
        if running.reloads > reloads:
            break
    if running.refusal:
        raise ModelError(f"not reloaded; the running engine and settings stay: {running.refusal}")
