"""`stripwatch demo`: cameras, daemon and subscriber together, on the synthetic strip."""

from __future__ import annotations

import argparse
from pathlib import Path

from stripwatch.errors import ConfigError, ExitCode


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "demo",
        allow_abbrev=False,
        help="watch cameras, daemon and subscriber at work; needs no camera, GPU or configuration",
        description="Build the engine of the embedded model, run the daemon with it, send a "
        "synthetic strip from two cameras, and show the defects. A folder keeps the engine, "
        "config.toml, logs, overlays and summary.json.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("stripwatch-demo"),
        metavar="FOLDER",
        help="for engine, configuration, logs and overlays (%(default)s)",
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="of sending frames (%(default)s)",
    )
    parser.add_argument(
        "--rate", type=float, default=8.0, metavar="FRAMES/S", help="of each camera (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the strip (%(default)s)")
    parser.add_argument(
        "--page",
        action="store_true",
        help="serve the operator's page of the demo's line, with one strip after the other, until "
        "Ctrl-C; --duration is that of a strip",
    )
    parser.set_defaults(command=_demo)


def _demo(args: argparse.Namespace) -> ExitCode:
    from stripwatch.lab.demo import run_demo

    if args.duration <= 0 or args.rate <= 0:
        raise ConfigError("--duration and --rate must be greater than 0")
    if args.page:
        from stripwatch.lab.demo_page import run_page_demo

        return run_page_demo(args.output, args.duration, args.rate, args.seed)
    return run_demo(args.output, args.duration, args.rate, args.seed)
