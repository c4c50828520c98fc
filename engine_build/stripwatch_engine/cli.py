"""`engine-build`: from a trained model to an engine folder that the daemon runs."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stripwatch.cli.guard import guarded
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.manifest import MANIFEST_NAME, Manifest
from stripwatch_engine.build import build_openvino


def main(argv: list[str] | None = None) -> int:
    """Build an engine and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="engine-build",
        description="Build an inspection engine from a segmentation model. model.json, which "
        "training writes beside the model, says what its input, output and classes are.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument(
        "--target", choices=["openvino"], default="openvino", help="what runs it (%(default)s)"
    )
    parser.add_argument(
        "--frame",
        default="256x1600",
        metavar="LINESxPIXELS",
        help="shape of the cameras' frames (%(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="engine folder to write (default: beside the model, named after the target)",
    )
    args = parser.parse_args(argv)
    return guarded(lambda: _build(args))


def _build(args: argparse.Namespace) -> ExitCode:
    started_s = time.monotonic()
    shape = re.fullmatch(r"(\d{1,5})x(\d{1,5})", args.frame)
    if not shape or "0" in shape.groups():
        raise ConfigError(f"--frame {args.frame!r}: expected LINESxPIXELS, for example 256x1600")
    output = args.output or args.model.with_name(args.target)
    if output.exists() and not (output / MANIFEST_NAME).is_file():
        raise ConfigError(f"--output {output} exists and is no engine folder; choose another")
    manifest = build_openvino(args.model, (int(shape[1]), int(shape[2])), output)
    Console().print(_summary(output, manifest, time.monotonic() - started_s))
    return ExitCode.OK


def _summary(output: Path, manifest: Manifest, seconds: float) -> Table:
    size = sum((output / name).stat().st_size for name in manifest.files)
    lines, pixels = manifest.frame_shape
    table = Table(title=f"engine {output}", show_header=False, title_justify="left")
    table.add_row("target", f"{manifest.target} {manifest.precision}, {manifest.builder}")
    table.add_row("frames", f"{lines} x {pixels}")
    table.add_row("classes", ", ".join(entry.name for entry in manifest.classes))
    table.add_row("size", f"{size / 1e6:.1f} MB")
    table.add_row("built in", f"{seconds:.1f} s")
    table.add_row("hash", manifest.engine_hash[:16])
    return table
