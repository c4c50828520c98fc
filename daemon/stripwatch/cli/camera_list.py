"""`stripwatch camera list`: the cameras in sight."""

from __future__ import annotations

import argparse
import sys

from stripwatch.errors import ConfigError, ExitCode

COLUMNS = ("kind", "id", "make", "model", "serial", "address")


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "list",
        allow_abbrev=False,
        help="the cameras in sight",
        description="List every camera in sight, with the id that goes into the configuration. "
        "Searching can disturb cameras that run: with some vendors' libraries even those of other "
        "programs.",
    )
    parser.add_argument(
        "--producer",
        metavar="FILE.CTI",
        help="also those behind a vendor's GenTL producer",
    )
    parser.set_defaults(command=_list)


def _list(args: argparse.Namespace) -> ExitCode:
    from rich.table import Table

    from stripwatch.camera.base import Discovered
    from stripwatch.camera.libraries import library_of
    from stripwatch.config.cameras import CameraSource
    from stripwatch.service.console import plain_console

    sources = [CameraSource(kind="aravis")]
    if args.producer:
        sources.append(CameraSource(kind="genicam", producer=args.producer))
    found: list[Discovered] = []
    faults = []
    for source in sources:
        try:
            found += library_of(source).discover()
        except ConfigError as error:
            faults.append(str(error))
    if found:
        table = Table()
        for column in COLUMNS:
            table.add_column(column, no_wrap=column == "id")  # it is copied from here
        for camera in found:
            table.add_row(*(getattr(camera, column) for column in COLUMNS))
        plain_console().print(table)
    else:
        sys.stdout.write("no camera is in sight\n")
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return ExitCode.CONFIG if faults and not found else ExitCode.OK
