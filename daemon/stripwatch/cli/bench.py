"""`stripwatch bench`: how fast is this machine, and what does stripwatch cost on it?"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from stripwatch import __version__
from stripwatch.errors import ConfigError, ExitCode, StorageError

PARTS = ("end-to-end", "transport", "inspect", "memory")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "bench",
        help="measure this machine",
        description="Measure ratios in one run: the whole daemon over the bare engine, the "
        "pipeline over bare ZeroMQ, inspection per core, and memory over many frames.",
    )
    parser.add_argument("--engine", type=Path, metavar="FOLDER", help="engine for end-to-end")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="one part; may be given more than once"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="of each reading (%(default)s)")
    parser.add_argument("--rows", type=int, default=4, help="frames in a slot (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0 = all cores")
    parser.add_argument("--streams", type=int, default=0, help="of the engine; 0 = automatic")
    parser.add_argument(
        "--memory-frames", type=int, default=200_000, metavar="N", help="(%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.set_defaults(command=_bench)


def _bench(args: argparse.Namespace) -> ExitCode:
    from stripwatch.bench import measure
    from stripwatch.bench.line import Bed
    from stripwatch.config import Resources, check_rows
    from stripwatch.manifest import load_manifest

    if args.seconds <= 0 or args.rows < 1 or args.memory_frames < 8:
        raise ConfigError("--seconds, --rows and --memory-frames must be greater than 0 (8)")
    wanted = args.only or PARTS
    if "end-to-end" in wanted and not args.engine:
        raise ConfigError(
            "end-to-end needs --engine FOLDER; build one with: engine-build models/edge/model.onnx"
        )
    manifest = load_manifest(args.engine) if args.engine else None
    if manifest:
        check_rows("--rows", args.rows, args.engine, manifest)
    shape = manifest.frame_shape if manifest else (256, 1600)
    figures: dict[str, object] = {"machine": _machine()}
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as sockets:
        bed = Bed(shape, args.rows, args.seconds, Path(sockets))
        steps: dict[str, Callable[[], measure.Figures]] = {
            "transport": lambda: measure.transport(bed),
            "inspect": lambda: measure.inspection(bed),
            "memory": lambda: measure.memory(bed, args.memory_frames),
        }
        if manifest:
            steps["end-to-end"] = lambda: measure.end_to_end(
                bed, args.engine, manifest, Resources(threads=args.threads, streams=args.streams)
            )
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, transient=True) as progress:
            for name in wanted:
                task = progress.add_task(f"measuring {name}")
                figures[name] = steps[name]()
                progress.remove_task(task)
    Console().print(_table(figures))
    if args.json:
        try:
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"{args.json} cannot be written: {error.strerror}") from error
    return ExitCode.OK


def _machine() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "stripwatch": __version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for row in info.read_text().splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.machine()


def _table(figures: dict[str, object]) -> Table:
    table = Table("part", "figure", "value")
    for part, rows in figures.items():
        assert isinstance(rows, dict)
        first = True
        for name, value in rows.items():
            if isinstance(value, dict):  # latency: one row per stage
                table.add_row("", name, "p50 / p99 / max")
                for stage, row in value.items():
                    table.add_row("", f"  {stage}", " / ".join(f"{ms:.1f}" for ms in row.values()))
            else:
                table.add_row(part if first else "", name, str(value))
            first = False
        table.add_section()
    return table
