"""Subcommands that train: fit, export, recipes."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

from stripwatch.errors import ExitCode
from stripwatch.service.console import ProgressBar
from stripwatch_engine.cli.flags import parse_shape
from stripwatch_train.cli import fit_clean
from stripwatch_train.cli.flags import (
    CLASSES_FLAG,
    JSON_HELP,
    class_names,
    print_json,
    print_table,
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    fit_parser = commands.add_parser(
        "fit",
        help="train a recipe's models and export them",
        description="Train all models of a recipe and write each as ONNX with its model.json. The "
        "same command again resumes a run that was stopped.",
    )
    fit_parser.add_argument(
        "recipe",
        help="name (see `recipes`), path of a .toml or .json file, or clean: learn from clean "
        "frames without labels",
    )
    fit_parser.add_argument("--data", type=Path, required=True, help="folder, or .json of COCO")
    fit_parser.add_argument("--classes", **CLASSES_FLAG)
    fit_parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    fit_parser.add_argument("--folds", type=Path, metavar="FILE", help="of stripwatch-train folds")
    fit_parser.add_argument(
        "--teacher", type=Path, metavar="FOLDER", help="of stripwatch-train predict --soft"
    )
    fit_parser.add_argument(
        "--pseudo", type=Path, metavar="DATA", help="frames labelled by a model"
    )
    fit_parser.add_argument(
        "--from",
        dest="begin_from",
        type=Path,
        metavar="MODEL",
        help="begin with the weights of a run, of one of its checkpoints, or of a model.onnx",
    )
    fit_parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe, for example schedule.epochs=3; may be given again",
    )
    fit_parser.add_argument(
        "--only",
        metavar="NAMES",
        help="members to train now, separated by commas; the others can follow, or be trained "
        "on other machines",
    )
    fit_parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that load frames"
    )
    fit_parser.add_argument("--accelerator", choices=("auto", "cpu", "gpu"), default="auto")
    fit_clean.add_flags(fit_parser)
    fit_parser.set_defaults(command=_fit)
    export_parser = commands.add_parser(
        "export",
        help="write a run's checkpoints as ONNX again",
        description="Write the models of a run as ONNX with their model.json, compared with "
        "PyTorch, and the composition files. `fit` does it at its end; this is for a run that is "
        "not done yet, another checkpoint, or frames of another size.",
    )
    export_parser.add_argument("run", type=Path, help="folder of stripwatch-train fit")
    export_parser.add_argument(
        "--last", action="store_true", help="the last epoch's weights, not the best one's"
    )
    export_parser.add_argument("--frame", metavar="LINESxPIXELS", help="of the line's frames")
    export_parser.add_argument("--json", action="store_true", help=JSON_HELP)
    export_parser.set_defaults(command=_export)
    recipes_parser = commands.add_parser(
        "recipes", help="list the recipes", description="List the recipes of this package."
    )
    recipes_parser.add_argument("name", nargs="?", help="print all settings of this recipe")
    recipes_parser.add_argument("--json", action="store_true", help=JSON_HELP)
    recipes_parser.set_defaults(command=_recipes)


def _fit(args: argparse.Namespace) -> ExitCode:
    if args.recipe == fit_clean.CLEAN:
        return fit_clean.run(args)
    fit_clean.refuse_clean_flags(args)
    from stripwatch_train.runs.recipe_files import load_recipe

    recipe = load_recipe(args.recipe, args.set)
    from stripwatch_train.fitting.begin_run import FitSettings
    from stripwatch_train.fitting.fit import fit
    from stripwatch_train.fitting.trainer import is_first_process
    from stripwatch_train.runs.run_folder import DEPLOYMENT_NAME, is_trained

    names = class_names(args)
    settings = FitSettings(
        data=args.data,
        output=args.output,
        classes=tuple(names) if names else None,
        folds=args.folds,
        teacher=args.teacher,
        pseudo=args.pseudo,
        begin_from=args.begin_from,
        only=tuple(args.only.split(",")) if args.only else (),
        workers=args.workers,
        accelerator=args.accelerator,
        command=_command(args),
    )
    try:
        with ExitStack() as stack:  # the bar ends where training begins, which has its own
            progress = stack.enter_context(ProgressBar())
            run = fit(Path(args.recipe).stem, recipe, settings, progress.show, stack.close)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command resumes from the last epoch\n")
        raise
    if is_first_process():
        done = sum(is_trained(args.output, entry) for entry in run.members)
        sys.stdout.write(
            f"{args.output}: {done} of {len(run.members)} models are trained; next: "
            f"stripwatch-train evaluate {args.output}, "
            f"engine-build {args.output / DEPLOYMENT_NAME}\n"
        )
    return ExitCode.OK


def _export(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.fitting.checkpoints import BEST, LAST
    from stripwatch_train.fitting.export import export_run

    shape = parse_shape("--frame", args.frame) if args.frame else None
    with ProgressBar() as progress:
        done = export_run(
            args.run,
            checkpoint=LAST if args.last else BEST,
            frame_shape=shape,
            progress=progress.show,
        )
    if args.json:
        print_json({"largest_difference": done})
        return ExitCode.OK
    rows = ((name, f"{difference:.2g}") for name, difference in done.items())
    print_table(("model", "largest difference to PyTorch"), rows)
    return ExitCode.OK


def _command(args: argparse.Namespace) -> str:
    """The command for the models' cards: what to train, without this machine's paths."""
    words = ["stripwatch-train", "fit", args.recipe]
    for change in args.set:
        words += ["--set", change]
    given = (("--teacher", args.teacher), ("--pseudo", args.pseudo), ("--from", args.begin_from))
    for flag, path in given:
        words += [flag, path.name] if path else []
    return shlex.join(words)


def _recipes(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.runs.recipe_files import load_recipe, recipe_names

    if args.name:
        print_json(load_recipe(args.name))
        return ExitCode.OK
    rows: list[tuple[str, str, str]] = []
    for name in recipe_names():
        recipe = load_recipe(name)
        folds = len(recipe.train_folds)
        single = folds * sum(member.per_class for member in recipe.members)
        models = str(folds * len(recipe.members) - single)
        rows.append((name, models + (f" + {single} a class" if single else ""), recipe.about))
    heads = ("recipe", "models", "about")
    if args.json:
        print_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        print_table(("recipe", "models", "what it is"), rows)
        sys.stdout.write("Without labels: stripwatch-train fit clean, see fit --help\n")
    return ExitCode.OK
