"""Completion for shells: every program prints the script that completes its own options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SHELLS = ("bash", "fish", "zsh")


class _Print(argparse.Action):
    """Print the script and end, as --help does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse's signature
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002 - as above
    ) -> None:
        import shtab

        for action in _actions(parser):
            if action.type is Path or action.dest == "source":
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab looks for it
        sys.stdout.write(shtab.complete(parser, shell=str(values)))
        parser.exit(0)


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the option `--print-completion`."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        choices=SHELLS,
        help="print a script by which a shell completes the options of this program",
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its subcommands."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor a public name
            for inner in action.choices.values():
                yield from _actions(inner)
