"""The subcommand compare: two evaluations on one page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stripwatch.errors import ExitCode
from stripwatch_train.cli.flags import JSON_HELP, make_folder, print_json, print_table

COMPARISON_FOLDER = "comparison"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    parser = commands.add_parser(
        "compare",
        help="put two evaluations of the same frames on one page",
        description="Compare two models that were evaluated on the same frames, for example two "
        "recipes, or a float32 and an int8 engine: their figures, and the frames in which they "
        "differ most.",
    )
    for name in ("first", "second"):
        parser.add_argument(
            name,
            type=Path,
            metavar=name.upper(),
            help="folder of stripwatch-train evaluate, or of a training run that was evaluated",
        )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(COMPARISON_FOLDER),
        metavar="FOLDER",
        help="for the page (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_compare)


def _compare(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.comparison import HEAD, compare, difference_rows, load_report
    from stripwatch_train.evaluation.figures.comparison import write_comparison

    first, second = load_report(args.first), load_report(args.second)
    comparison = compare(first, second)
    make_folder(args.output)
    page = write_comparison(args.output, comparison)
    if args.json:
        print_json({"figures": comparison.figures, "page": str(page)})
        return ExitCode.OK
    print_table(HEAD, difference_rows(comparison))
    sys.stdout.write(f"{page}\n")
    return ExitCode.OK
