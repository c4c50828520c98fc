"""`stripwatch run`: the daemon."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from stripwatch.errors import ExitCode


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "run",
        allow_abbrev=False,
        help="run the daemon",
        description="Receive frames, inspect them, publish defect events, until SIGTERM or "
        "Ctrl-C. SIGHUP makes it read the file again; most changes take effect without a stop.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> ExitCode:
    # Until App reads it, SIGHUP asks for what is about to be read anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from stripwatch.app import App
    from stripwatch.config.load import load_config
    from stripwatch.service.logs import set_up_logs
    from stripwatch.service.sdnotify import Notifier

    config = load_config(args.config)
    log = set_up_logs(config.service)
    notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
    try:
        return App(args.config, config, notifier).run()
    finally:
        notifier.close()
        log.close()  # before an error is printed
