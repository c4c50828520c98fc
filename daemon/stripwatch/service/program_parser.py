"""The parser that every program begins with: its version, and completion for shells."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from stripwatch._version import __version__

SHELLS = ("bash", "fish", "zsh")


class _Parser(argparse.ArgumentParser):
    """argparse's own parser drops what cannot be written, and `--help` seems to have worked."""

    def _print_message(self, message: str, file: IO[str] | None = None) -> None:  # type: ignore[override]
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


class _PrintCompletion(argparse.Action):
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
        shell = str(values)
        sys.stdout.write(shtab.complete(parser, shell=shell))
        parser.exit(0)


def program_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that all programs share; its subcommands inherit its kind.

    Abbreviations are errors: what one means would change with the next option.
    """
    parser = _Parser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        help="print a script by which a shell completes the options of this program",
    )
    return parser


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its subcommands."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor a public name
            for inner in action.choices.values():
                yield from _actions(inner)
