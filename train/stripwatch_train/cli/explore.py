"""The subcommand explore: a page about a data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar
from stripwatch_train.cli.flags import (
    CLASSES_FLAG,
    JSON_HELP,
    check_outside,
    class_names,
    make_folder,
    opened_data,
    print_json,
    print_table,
)

SAMPLES, SAMPLES_MAX = 4, 50


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    parser = commands.add_parser(
        "explore",
        help="write a page about a data set: classes, areas, overlays, brightness",
        description="Count the classes, areas and sizes of a data set, and write them, with "
        "pictures, as a page (index.html and PNG files). For a bare mask table of Severstal's data "
        "(a .csv file), the parts that need no images are shown.",
    )
    parser.add_argument("data", type=Path, help="folder, .json file of COCO, or .csv of masks")
    parser.add_argument("--classes", **CLASSES_FLAG)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--samples",
        type=int,
        default=SAMPLES,
        metavar="N",
        help="frames to draw of each combination of classes (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="chooses these frames (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_explore)


def _explore(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.explore.counts import explore, open_mask_table
    from stripwatch_train.explore.page import write_exploration
    from stripwatch_train.explore.tables import (
        CLASS_HEAD,
        COMBINATION_HEAD,
        class_rows,
        combination_rows,
        exploration_document,
    )

    if not 1 <= args.samples <= SAMPLES_MAX or args.seed < 0:
        raise ConfigError(f"--samples must be 1 to {SAMPLES_MAX}, and --seed 0 or more")
    bare = args.data.suffix.lower() == ".csv" and args.data.is_file()
    data_set = (
        open_mask_table(args.data, class_names(args)) if bare else opened_data(args.data, args)
    )
    check_outside(args.output, args.data)
    make_folder(args.output)
    with ProgressBar() as progress:
        exploration = explore(data_set, with_images=not bare, progress=progress.show)
        page = write_exploration(
            exploration,
            args.output,
            samples=args.samples,
            seed=args.seed,
            progress=progress.show,
        )
    if args.json:
        print_json(exploration_document(exploration) | {"page": str(page)})
        return ExitCode.OK
    print_table(CLASS_HEAD, class_rows(exploration))
    print_table(COMBINATION_HEAD, combination_rows(exploration))
    if exploration.pixels:
        mean, std = exploration.pixels.mean, exploration.pixels.std
        sys.stdout.write(f"mean {mean:.4f}, std {std:.4f} of pixels as 0 to 1\n")
    sys.stdout.write(f"{page}\n")
    return ExitCode.OK
