"""`stripwatch camera show NAME`: the features of a camera, with their ranges."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from stripwatch.cli.camera_source import add_camera, configured_camera
from stripwatch.errors import ExitCode


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "show",
        allow_abbrev=False,
        help="the features of a camera, with their ranges",
        description="List the features of a camera with values and ranges, by the names under "
        "which the configuration sets them. The camera must not be in use.",
    )
    add_camera(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, no table")
    parser.set_defaults(command=_show)


def _show(args: argparse.Namespace) -> ExitCode:
    import msgspec
    from rich.table import Table

    from stripwatch.camera.libraries import library_of
    from stripwatch.service.console import plain_console

    _, _, source = configured_camera(args)
    with closing(library_of(source).open(source)) as opened:
        identity, features = opened.identity, opened.features()
    if args.json:
        what = {"camera": identity, "features": features}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(what), indent=2).decode() + "\n")
        return ExitCode.OK
    sys.stdout.write(f"{identity.make} {identity.model}, serial {identity.serial}\n")
    table = Table("group", "feature", "value", "unit", "allowed", "")
    group = None
    for feature in features:
        value = "" if feature.value is None else str(feature.value)
        table.add_row(
            feature.group if feature.group != group else "",
            feature.name,
            value,
            feature.unit,
            feature.allowed,
            "" if feature.writable else "read only",
        )
        group = feature.group
    plain_console().print(table)
    return ExitCode.OK
