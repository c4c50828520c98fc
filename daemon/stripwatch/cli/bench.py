"""`stripwatch bench`: measures this machine and the cost of stripwatch on it."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from stripwatch._version import __version__
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import ProgressBar

if TYPE_CHECKING:  # `--help` stays quick
    from stripwatch.engines.base import EngineFactory
    from stripwatch.engines.manifest import Manifest
    from stripwatch.lab.bench.figures import Figures

PARTS = ("end-to-end", "transport", "inspect", "capacity", "journal", "memory")
ASKED_PARTS = ("cameras", "page", "periodic")  # only where asked for
GPU_PARTS = ("gpu", "load", "swap")  # load and swap measure any engine
RIVALS = "rivals"
ALL_PARTS = (*PARTS, *ASKED_PARTS, *GPU_PARTS, RIVALS)
WITH_ENGINE = ("end-to-end", *GPU_PARTS, RIVALS)
ROWS = 4
COLUMNS_MAX = 7  # of a table that fits 80 characters
LISTS = ("modes", "not_measured", "goals")  # of figures; each becomes a table


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="measure this machine",
        description="Measure ratios in one run: the whole daemon over the bare engine, the "
        "pipeline over bare ZeroMQ, inspection per core, the daemon's own capacity, and memory "
        "over many frames; with --only page, what the operator's page costs the line; with --only "
        "periodic, how soon roll marks are found; or, with --gpu, a GPU engine bare and in the "
        "daemon, a steady load, and a hot-swap.",
    )
    add = parser.add_argument
    add("--engine", type=Path, metavar="FOLDER", help=f"engine for {', '.join(WITH_ENGINE)}")
    add("--gpu", action="store_true", help=f"the parts {', '.join(GPU_PARTS)}, not the others")
    add(
        "--only",
        action="append",
        choices=ALL_PARTS,
        metavar="PART",
        help=f"one part; may be given more than once: {', '.join(ALL_PARTS)}",
    )
    add("--seconds", type=float, default=8.0, help="of each reading (%(default)s)")
    add("--rows", type=int, help=f"frames in a slot ({ROWS}; part gpu: 1, 4, 8 and 16)")
    add("--threads", type=int, default=0, help="of the engine; 0 = all cores")
    add("--streams", type=int, default=0, help="of the engine; 0 = automatic")
    add(
        "--memory-frames",
        type=int,
        default=200_000,
        metavar="N",
        help="frames of the part memory (%(default)s)",
    )
    add(
        "--journal-events",
        type=int,
        default=1_000_000,
        metavar="N",
        help="events of the large journal of the part journal (%(default)s)",
    )
    add("--seed", type=int, default=0, help="of the strips of the part periodic (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the figures into this file")
    add = parser.add_argument_group("parts gpu, load and swap").add_argument
    add("--rate", type=float, default=800.0, help="frames/s that a camera offers (%(default)g)")
    add("--wait-ms", type=float, default=2.0, help="wait of a slot for frames (%(default)g)")
    add("--torch", type=Path, metavar="FILE.pt2", help="the same network for PyTorch")
    add("--onnx", type=Path, metavar="FILE.onnx", help="the same network for ONNX Runtime")
    parser.set_defaults(command=_bench)


def _bench(args: argparse.Namespace) -> ExitCode:
    from stripwatch.engines.manifest import load_manifest
    from stripwatch.service.engine_fit import check_rows

    positive = (args.seconds, args.rate, args.wait_ms, 1 if args.rows is None else args.rows)
    counts_are_low = args.memory_frames < 8 or args.journal_events < 1
    if counts_are_low or not all(0 < value < math.inf for value in positive):
        raise ConfigError(
            "--seconds, --rows, --rate, --wait-ms, --journal-events and --memory-frames must be "
            "greater than 0 (8)"
        )
    wanted = args.only or (GPU_PARTS if args.gpu else PARTS)
    for part in wanted:
        if part in WITH_ENGINE and not args.engine:
            raise ConfigError(
                f"{part} needs --engine FOLDER; build one with: engine-build models/edge/model.onnx"
            )
    for path in (args.torch, args.onnx):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path} is no file; --torch and --onnx name the network's files")
    if args.json and not args.json.resolve().parent.is_dir():  # known before minutes of measuring
        raise StorageError(f"--json {args.json}: the folder does not exist; make it first")
    if RIVALS in wanted and not args.onnx:
        raise ConfigError("rivals needs the same network: --onnx models/edge/model.onnx")
    manifest = load_manifest(args.engine) if args.engine else None
    if manifest and (args.rows is not None or "end-to-end" in wanted):
        check_rows("--rows", args.rows or ROWS, args.engine, manifest)
    figures: dict[str, object] = {"machine": _machine()}
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as sockets:
        steps = _steps(args, manifest, Path(sockets), wanted)
        with ProgressBar() as progress:
            for number, name in enumerate(wanted):
                progress.show(f"measuring {name}", number, len(wanted))
                figures[name] = steps[name]()
    for table in _tables(figures):
        Console().print(table)
    if args.json:
        try:
            write_whole(args.json, (json.dumps(figures, indent=2) + "\n").encode())
        except OSError as error:
            raise StorageError(f"{args.json} cannot be written: {error.strerror}") from error
    return ExitCode.OK


def _steps(
    args: argparse.Namespace, manifest: Manifest | None, sockets: Path, wanted: Sequence[str]
) -> dict[str, Callable[[], Figures]]:
    """The function that measures each part.

    Raises:
        ConfigError: the engine is not for the parts that are wanted.
    """
    from stripwatch.engines.base import Resources
    from stripwatch.engines.load import engine_factory
    from stripwatch.inspect.model import model_of
    from stripwatch.lab.bench import (
        cameras,
        capacity,
        gpu,
        journal_load,
        load,
        measure,
        page,
        rivals,
        roll_marks,
    )
    from stripwatch.lab.bench.harness import BenchSetup

    shape = manifest.frame_shape if manifest else (256, 1600)
    setup = BenchSetup(shape, args.rows or ROWS, args.seconds, sockets)
    steps: dict[str, Callable[[], Figures]] = {
        "transport": lambda: measure.transport(setup),
        "inspect": lambda: measure.inspection(setup),
        "capacity": lambda: capacity.capacity(setup),
        "journal": lambda: journal_load.journal(setup, args.journal_events),
        "cameras": lambda: cameras.camera_load(setup),
        "periodic": lambda: roll_marks.roll_mark_figures(args.seed),
        "memory": lambda: measure.memory(setup, args.memory_frames),
        "page": lambda: page.page_cost(setup),
    }
    if manifest is None:
        return steps
    if args.gpu or "gpu" in wanted:
        gpu.check_gpu_engine(args.engine, manifest)
    resources = Resources(threads=args.threads, streams=args.streams)
    engine = gpu.EngineUnderTest(args.engine, manifest, resources, args.torch, args.onnx)
    fewest, most = manifest.batch or (1, ROWS)
    loaded = replace(setup, rows=args.rows or min(max(ROWS, fewest), most), wait_ms=args.wait_ms)
    model = model_of(manifest)

    def factory() -> EngineFactory:
        return engine_factory(args.engine, manifest, resources)

    return steps | {
        "end-to-end": lambda: measure.end_to_end(setup, args.engine, manifest, resources),
        "page": lambda: page.page_cost(setup, (model, factory())),
        "gpu": lambda: gpu.modes(
            [replace(setup, rows=rows) for rows in gpu.batch_sizes(manifest, args.rows)], engine
        ),
        "load": lambda: load.under_load(loaded, model, factory(), args.rate),
        RIVALS: lambda: rivals.rivals(
            replace(loaded, frame_results=True), model, factory(), args.onnx
        ),
        "swap": lambda: load.hot_swap(loaded, model, factory(), args.rate),
    }


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


def _tables(figures: dict[str, object]) -> Iterator[Table]:
    """All figures; each list has its own table, and the goals of all parts share one."""
    plain = Table("part", "figure", "value")
    lists: list[list[dict[str, object]]] = []
    goals: list[dict[str, object]] = []
    for part, rows in figures.items():
        assert isinstance(rows, dict)
        _add_part(plain, part, rows)
        goals += rows.get("goals", [])
        lists += [rows.get("modes", []), rows.get("not_measured", [])]
    yield plain
    for entries in (*lists, goals):
        if entries:
            yield table_of(entries)


def _add_part(table: Table, part: str, rows: dict[str, object]) -> None:
    for index, (name, value) in enumerate(rows.items()):
        first = "" if index else part
        if name in LISTS:
            continue
        if isinstance(value, dict):  # latency: one row per stage
            table.add_row(first, _label(name), "p50 / p99 / max")
            for stage, row in value.items():
                table.add_row("", f"  {stage}", " / ".join(f"{ms:.1f}" for ms in row.values()))
        else:
            table.add_row(first, _label(name), str(value))
    table.add_section()


def table_of(rows: list[dict[str, object]]) -> Table:
    """A column for every key that a row has; where they are many, a line for every key."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if len(keys) > COLUMNS_MAX:
        table = Table("figure", *(str(number) for number in range(1, len(rows) + 1)))
        for key in keys:
            table.add_row(_label(key), *(str(row.get(key, "")) for row in rows))
        return table
    table = Table(*map(_label, keys))
    for row in rows:
        table.add_row(*(str(row.get(key, "")) for key in keys))
    return table


def _label(key: str) -> str:
    """A figure's key as text: `engine_frames_per_s` is "engine frames/s"."""
    return key.replace("_per_", "/").replace("percent", "%").replace("_", " ")
