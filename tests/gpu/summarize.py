"""Summarizes a run of run.sh: a table to read, and the rows for docs/gpu-results.md.

python summarize.py LOG_FOLDER SUMMARY.md COMMAND
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stripwatch.lab.bench.load_monitor import query_gpus

DISTRIBUTIONS = (
    "tensorrt_rtx_cu13",
    "tensorrt",
    "tensorrt_lean_cu13",
    "pycuda",
    "torch",
    "onnxruntime",
    "numpy",
)
MODES = (
    "bare",
    "single-buffered",
    "double-buffered",
    "daemon",
    "PyTorch eager",
    "PyTorch compile",
    "ONNX Runtime CUDA",
)
LAST_LINE_MAX = 100  # characters of the last line that a failed step printed


def main(log: Path, summary: Path, command: str) -> None:
    """Print the table and write the rows."""
    steps = [(path.stem, path.read_text().strip()) for path in sorted(log.glob("*.status"))]
    table = Table("step", "result", "last line")
    for name, status in steps:
        lines = (log / f"{name}.txt").read_text(errors="replace").strip().splitlines()
        last = lines[-1][-LAST_LINE_MAX:] if lines and status != "0" else ""
        table.add_row(name, "ok" if status == "0" else f"FAILED ({status})", last)
    console = Console(width=100)
    console.print(table)
    libraries = log / "libraries.json"
    chosen = json.loads(libraries.read_text()) if libraries.is_file() else {}
    library = ", ".join(chosen.get("use", [])) or "unknown"
    today = datetime.now(UTC).date().isoformat()
    gpu = query_gpus("name,driver_version") or "no GPU, no driver"
    text = [
        "Runs: date | card, driver | library | versions | command",
        _row(today, gpu, library, _versions(), f"`{command}`"),
        *(f"skipped: {name}: {reason}" for name, reason in chosen.get("skipped", {}).items()),
        "",
        "Frames per second: date | engine | batch | " + " | ".join(MODES),
    ]
    benches = {
        path.stem.replace("-tensorrt", "-stand-in") if library == "stand-in" else path.stem: (
            json.loads(path.read_text())
        )
        for path in sorted(log.glob("*.json"))
        if path != libraries
    }
    for name, figures in benches.items():
        text += [_row(today, name, *cells) for cells in _rates(figures)]
    text += ["", "Goals: date | engine | batch | figure | goal | measured | met"]
    for name, figures in benches.items():
        text += [_row(today, name, *cells) for cells in _goals(figures)]
    text += ["", "Steps: date | step | result"]
    text += [_row(today, name, "ok" if code == "0" else "FAILED") for name, code in steps]
    summary.write_text("\n".join(text) + "\n")
    console.print("\n".join(text), soft_wrap=True, markup=False, highlight=False)
    console.print(f"written: {summary}", soft_wrap=True)


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def _rates(figures: dict[str, Any]) -> list[list[object]]:
    """The rate of each mode, by batch size."""
    rates: dict[int, dict[str, object]] = {}
    for row in figures.get("gpu", {}).get("modes", []):
        rates.setdefault(row["rows"], {})[row["mode"]] = row["frames_per_s"]
    return [[rows, *(of.get(mode, "not measured") for mode in MODES)] for rows, of in rates.items()]


def _goals(figures: dict[str, Any]) -> list[list[object]]:
    keys = ("rows", "figure", "goal", "measured", "met")
    return [
        [goal[key] for key in keys] for part in figures.values() for goal in part.get("goals", [])
    ]


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in DISTRIBUTIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
