"""Subcommands that train: fit, export."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.settings import FitSettings


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    fit_parser = commands.add_parser(
        "fit",
        help="train a UNet on synthetic strips",
        description="Train a UNet on synthetic strips, evaluate it, and write one checkpoint.",
    )
    fit_parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint.pt"))
    for name, default in msgspec.to_builtins(FitSettings()).items():
        # Values are parsed by FitSettings' own types, so that flags and checkpoints agree.
        flag = "--" + name.replace("_", "-")
        shown = ",".join(map(str, default)) if isinstance(default, tuple | list) else default
        fit_parser.add_argument(flag, metavar="VALUE", help=f"(default: {shown})")
    fit_parser.set_defaults(command=_fit)
    export_parser = commands.add_parser(
        "export",
        help="write a checkpoint as ONNX with its model.json",
        description="Write a checkpoint as an ONNX file with a model.json beside it.",
    )
    export_parser.add_argument("checkpoint", type=Path)
    export_parser.add_argument("--output", type=Path, default=Path("model.onnx"), metavar="ONNX")
    export_parser.set_defaults(command=_export)


def _fit(args: argparse.Namespace) -> ExitCode:
    settings = _settings(args)
    from stripwatch_train.fit import fit

    _print_metrics(fit(settings, args.checkpoint))
    return ExitCode.OK


def _export(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.export import export

    _print_metrics(export(args.checkpoint, args.output).metrics)
    return ExitCode.OK


def _settings(args: argparse.Namespace) -> FitSettings:
    """The settings that the flags give.

    Raises:
        ConfigError: a value is not allowed.
    """
    given: dict[str, object] = {}
    for name in FitSettings.__struct_fields__:
        value = getattr(args, name)
        if value is not None:
            is_list = isinstance(getattr(FitSettings(), name), tuple)
            given[name] = value.split(",") if is_list else value
    try:
        return msgspec.convert(given, FitSettings, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        if not place:  # a rule that joins several settings; its sentence names them
            raise ConfigError(message) from None
        flag = "--" + place.split("[", maxsplit=1)[0].rstrip("`").replace("_", "-")
        raise ConfigError(f"{flag}: {message}") from None


def _print_metrics(metrics: dict[str, float]) -> None:
    table = Table("metric", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)
