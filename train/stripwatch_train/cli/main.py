"""The entry point; each module beside it adds its subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.exits import guarded
from stripwatch.service.program_parser import program_parser
from stripwatch_train.cli import compare, data, evaluate, explore, fit, predict, tune
from stripwatch_train.data.text import check_name

# What the extra installs, by the name that is imported.
TRAIN_MODULES = frozenset(
    (
        *("jinja2", "lightning", "matplotlib", "onnx", "onnxruntime"),
        *("segmentation_models_pytorch", "timm", "torch", "torchvision"),
    )
)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = program_parser("stripwatch-train", "Train segmentation models for stripwatch.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data.add_commands(commands)
    explore.add_commands(commands)
    fit.add_commands(commands)
    evaluate.add_commands(commands)
    tune.add_commands(commands)
    compare.add_commands(commands)
    predict.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> ExitCode:
    """Run a subcommand; a library of the extra that is missing becomes a ConfigError."""
    args = make_parser().parse_args(argv)
    for value in vars(args).values():
        if isinstance(value, Path):
            check_name(value)
    command: Callable[[argparse.Namespace], ExitCode] = args.command
    try:
        return command(args)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in TRAIN_MODULES:
            raise
        raise ConfigError(
            f"{name} is not installed, which this command needs; in a checkout of stripwatch run: "
            "pip install '.[train]'"
        ) from None
