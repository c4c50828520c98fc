"""`stripwatch check`: is this configuration fit to run?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stripwatch.config import Config, load_config, resolve_classes
from stripwatch.errors import ExitCode
from stripwatch.manifest import DefectClass, Manifest, load_manifest


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "check",
        help="check a configuration without starting anything",
        description="Check a configuration and the engine that it names; open no socket.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.TOML")
    parser.set_defaults(command=_check)


def _check(args: argparse.Namespace) -> ExitCode:
    config = load_config(args.config)
    manifest = load_manifest(Path(config.engine.folder))
    sys.stdout.write(_summary(args.config, config, manifest, resolve_classes(config, manifest)))
    return ExitCode.OK


def _summary(
    path: Path, config: Config, manifest: Manifest, classes: tuple[DefectClass, ...]
) -> str:
    lines, pixels = config.line.frame_shape
    rows = [
        f"{path}: good",
        (
            f"  frames   {lines} x {pixels}, {lines * config.line.mm_per_line:g} mm along the "
            f"strip, {pixels * config.line.mm_per_pixel:g} mm across"
        ),
        f"  cameras  {', '.join(camera.name for camera in config.cameras)}",
        *(f"  input    {entry.attach} {entry.pattern} {entry.endpoint}" for entry in config.inputs),
        f"  engine   {manifest.target} {manifest.precision}, built by {manifest.builder}",
        *(
            f"  class {entry.id}  {entry.name}: probability >= {entry.threshold:g}, "
            f"area >= {entry.min_area_px} px"
            for entry in classes
        ),
        f"  events   {config.publish.attach} {config.publish.endpoint}",
    ]
    return "\n".join(rows) + "\n"
