"""`engine-build`: from trained models to an engine folder that the daemon runs."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch.service.exits import guarded
from stripwatch.service.start import loading
from stripwatch_engine.cli.arguments import settings_from
from stripwatch_engine.cli.flags import parse
from stripwatch_engine.cli.tables import engine_table, verification_tables

EXTRA = ("onnx", "onnxruntime")  # of the extra `build`; the daemon runs without them


def main(argv: list[str] | None = None) -> int:
    """Build or show an engine and return the exit code."""
    given = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _run(given))


def _run(given: list[str]) -> ExitCode:
    args = parse(given)
    for text in given:
        if any("\udc80" <= character <= "\udcff" for character in text):  # how Python marks it
            raise ConfigError(f"{text!a} is not UTF-8, as the manifest is; rename it")
    if args.inspect:
        return _inspect(args)
    _check_extra()
    return _build(args, shlex.join(["engine-build", *given]))


def _check_extra() -> None:
    """Refuse to build without the libraries of the extra `build`.

    Raises:
        ConfigError: one of them is not installed.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"engine-build needs {' and '.join(missing)}, which the daemon does not need and the "
            "plain installation leaves out; install in the folder of stripwatch with: "
            "pip install '.[build]'"
        )


def _load_libraries(args: argparse.Namespace) -> None:
    """Import what the build needs later, while Ctrl-C still ends in silence."""
    names = [*EXTRA]
    if args.target == "openvino":
        names += ["openvino", *(["nncf"] if args.precision == "int8" else [])]
    for name in names:
        if find_spec(name):
            import_module(name)


def _inspect(args: argparse.Namespace) -> ExitCode:
    if not args.models:
        raise ConfigError("--inspect: name the engine folders to show")
    engines = [(folder, load_manifest(folder)) for folder in args.models]
    if args.json:
        _print_json(engines)
        return ExitCode.OK
    for folder, manifest in engines:
        _print_engine(plain_console(), engine_table(folder, manifest), manifest)
    return ExitCode.OK


def _build(args: argparse.Namespace, command: str) -> ExitCode:
    with loading():
        from stripwatch_engine.build import BuildOptions, build

        _load_libraries(args)

    started_s = time.monotonic()
    settings = settings_from(args)
    first = Path(next(iter(settings.composition.paths()), "model.onnx"))
    output = args.output or first.with_name(settings.target)
    console = plain_console()
    with ProgressBar() as progress:
        options = BuildOptions(
            command=command,
            timing_cache=args.timing_cache,
            report=args.report,
            allow_degraded=args.allow_degraded,
            allow_unverified=args.allow_unverified,
            force=args.force,
            progress=progress.show,
        )
        outcome = build(settings, output, options)
    if args.json:
        _print_json([(output, outcome.manifest)])
        return ExitCode.OK
    if outcome.up_to_date:
        console.print(
            f"{output} is up to date: models, settings and versions are unchanged since it was "
            "built; --force builds it again",
            soft_wrap=True,
        )
        return ExitCode.OK
    manifest = outcome.manifest
    seconds = time.monotonic() - started_s
    _print_engine(console, engine_table(output, manifest, seconds, outcome.kept), manifest)
    for path in outcome.pictures:
        console.print(f"drawn: {path}", soft_wrap=True)
    return ExitCode.OK


def _print_engine(console: Console, table: Table, manifest: Manifest) -> None:
    """Print the table of an engine, its command in one line, and its verification."""
    console.print(table)
    if manifest.command:
        console.print(f"command: {manifest.command}", soft_wrap=True)
    if manifest.verification:
        for part in verification_tables(manifest.verification):
            console.print(part, soft_wrap=not isinstance(part, Table))


def _print_json(engines: list[tuple[Path, Manifest]]) -> None:
    """Print a list of folders and their manifests."""
    found = [{"folder": str(folder), "manifest": manifest} for folder, manifest in engines]
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
