"""`stripwatch camera`: real cameras, one process each; a name in place of an action runs it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from stripwatch.cli import (
    camera_calibrate,
    camera_fake,
    camera_list,
    camera_run,
    camera_show,
    camera_test,
)
from stripwatch.wire.names import NAME_PATTERN

ACTIONS = (camera_run, camera_list, camera_show, camera_test, camera_calibrate, camera_fake)


class _ActionsAndNames(dict[str, argparse.ArgumentParser]):
    """The actions; whatever could be the name of a camera is taken for one of them, too."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or re.match(NAME_PATTERN, str(name)) is not None


class _ActionOrName(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """Subcommands of which one, `run`, may be left out before a name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(*args, **kwargs)
        self.choices = self._accepted = _ActionsAndNames()

    def add_parser(self, name: str, **kwargs: Any) -> argparse.ArgumentParser:  # noqa: ANN401
        """As argparse's own."""
        parser: argparse.ArgumentParser = super().add_parser(name, **kwargs)
        self._accepted[name] = parser
        return parser

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = list(values or ())
        if words and words[0] not in self._name_parser_map:
            words.insert(0, "run")
        super().__call__(parser, namespace, words, option_string)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand, and its own."""
    parser = commands.add_parser(
        "camera",
        allow_abbrev=False,
        help="connect a real camera; list, show and test cameras",
        description="Connect real cameras (docs/cameras.md). `stripwatch camera NAME --config "
        "CONFIG.TOML` sends the frames of one camera to the daemon; the word `run` may stand "
        "before the name.",
    )
    actions = parser.add_subparsers(
        action=_ActionOrName, title="actions", metavar="NAME | ACTION", required=True
    )
    for module in ACTIONS:
        module.add_parser(actions)
