"""`stripwatch-train`: the command line of the training package."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from stripwatch.cli.guard import guarded
from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.settings import FitSettings

if TYPE_CHECKING:
    from stripwatch_train.samples import DataSet


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="stripwatch-train", description="Train segmentation models for stripwatch."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
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
    _add_data_commands(commands)
    given = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(given)
    run: Callable[[argparse.Namespace], ExitCode] = args.command
    return guarded(lambda: run(args))


def _add_data_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    classes: dict[str, Any] = {
        "metavar": "NAMES",
        "help": "of the classes, in order, with commas between",
    }
    collect_parser = commands.add_parser(
        "collect",
        help="make a data set of a recorded strip and the events about it",
        description="Write the inspected frames of a recording, and the defects that were found "
        "in them, as images and COCO labels. Frames without defects are clean frames.",
    )
    collect_parser.add_argument("recording", type=Path, help="of stripwatch record")
    collect_parser.add_argument(
        "--events", type=Path, required=True, help="JSON lines of stripwatch events --json"
    )
    collect_parser.add_argument(
        "--corrections", type=Path, help="JSON lines whose defects hold in place of the events'"
    )
    collect_parser.add_argument("--classes", **classes)
    collect_parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    collect_parser.set_defaults(command=_collect)
    convert_parser = commands.add_parser(
        "convert",
        help="write any data set as images and COCO labels",
        description="Write a data set in any layout that can be read as images and COCO labels, "
        "for example for a labelling tool.",
    )
    convert_parser.add_argument("source", type=Path, help="folder, or .json file of COCO")
    convert_parser.add_argument("--classes", **classes)
    convert_parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    convert_parser.set_defaults(command=_convert)
    folds_parser = commands.add_parser(
        "folds",
        help="deal out a data set's frames for cross-validation",
        description="Deal out frames into folds: what looks alike stays together, and every fold "
        "has its share of every class.",
    )
    folds_parser.add_argument("data", type=Path, help="folder, or .json file of COCO")
    folds_parser.add_argument("--classes", **classes)
    folds_parser.add_argument("--folds", type=int, default=5, metavar="N")
    folds_parser.add_argument("--seed", type=int, default=0)
    folds_parser.add_argument("--output", type=Path, default=Path("folds.json"), metavar="FILE")
    folds_parser.set_defaults(command=_folds)


def _collect(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.collect import collect

    done = collect(
        args.recording,
        args.events,
        args.output,
        corrections=args.corrections,
        classes=_names(args) or (),
    )
    table = Table("frames", "number")
    for name, value in dataclasses.asdict(done).items():
        if name != "remark":
            table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
    if done.remark:
        sys.stderr.write(f"{args.recording}: {done.remark}\n")
    return ExitCode.OK


def _convert(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.data_set import convert

    data_set = _opened(args.source, args)
    frames = convert(data_set, args.output)
    sys.stdout.write(f"{args.output}: {frames} frames\n")
    return ExitCode.OK


def _folds(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.folds import fold_rows, make_folds, save_folds

    data_set = _opened(args.data, args)
    folds = make_folds(data_set, args.folds, args.seed)
    save_folds(args.output, folds)
    table = Table("fold", "frames", "clean", *(entry.name for entry in data_set.classes))
    for row in fold_rows(data_set, folds):
        table.add_row(*map(str, row))
    Console().print(table)
    sizes = Counter(folds.group_of.values())
    sys.stdout.write(
        f"{len(folds.group_of)} of {len(folds.fold_of)} frames look alike or belong together, in "
        f"{len(sizes)} groups; the largest has {max(sizes.values(), default=0)}\n"
    )
    return ExitCode.OK


def _opened(path: Path, args: argparse.Namespace) -> DataSet:
    from stripwatch_train.data_set import open_data_set

    data_set = open_data_set(path, _names(args))
    for finding in data_set.findings:
        sys.stderr.write(f"{finding}\n")
    return data_set


def _names(args: argparse.Namespace) -> list[str] | None:
    return args.classes.split(",") if args.classes else None


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
