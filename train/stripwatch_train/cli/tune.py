"""The subcommand tune: thresholds and minimum areas from validation frames."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from stripwatch.errors import ConfigError, ExitCode
from stripwatch.service.console import ProgressBar, plain_console
from stripwatch_train.cli.flags import JSON_HELP, print_json
from stripwatch_train.cli.measure import add_data_flags, check_model, measured

if TYPE_CHECKING:
    from stripwatch_engine.models.composition import Role
    from stripwatch_train.evaluation.choice import Aim
    from stripwatch_train.evaluation.evaluate import Scores
    from stripwatch_train.evaluation.tune import Tuned


HEADS = ("class", "threshold", "min. area, px", "mean Dice", "found in", "false alarms")
PRESENCE_HEADS = ("role", "output", "threshold", "sensitivity", "specificity")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    parser = commands.add_parser(
        "tune",
        help="choose thresholds and minimum areas on validation frames",
        description="Choose the threshold and the minimum area of each class on frames that the "
        "models were not trained on, and write them into model.json. A class is never switched "
        "off: without labelled frames, or where nothing of it is found, its settings are kept.",
    )
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="folder of a training run; or .onnx or .toml with --data, --folds and --fold",
    )
    add_data_flags(parser)
    parser.add_argument(
        "--aim",
        default="dice",
        metavar="dice|recall@N|recall@N/km",
        help="dice: the best mean Dice, as Kaggle counts it; recall@N: the most frames in which "
        "each class is found, with at most N false alarms of it per 1,000 frames, or per km of "
        "strip (default: %(default)s)",
    )
    parser.add_argument(
        "--line-mm",
        type=float,
        metavar="MM",
        help="length of a scan line along the strip, for recall@N/km",
    )
    parser.add_argument(
        "--clean-passed",
        type=float,
        metavar="SHARE",
        help="also choose the thresholds of gates and classifiers: the highest sensitivity that "
        "passes this share of the frames without a defect, for example 0.8",
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.set_defaults(command=_tune)


def _tune(args: argparse.Namespace) -> ExitCode:
    from stripwatch_train.evaluation.evaluate import evaluate_run
    from stripwatch_train.evaluation.tune import choose_presence, tune, write_cards
    from stripwatch_train.runs.run_folder import is_run
    from stripwatch_train.runs.run_models import presence_paths, segmenters_of

    aim = _aim(args)
    if args.clean_passed is not None and not 0 < args.clean_passed <= 1:
        raise ConfigError(f"--clean-passed {args.clean_passed:g}: give a share above 0, at most 1")
    check_model(args.model)
    in_run = is_run(args.model)
    _check_tunable(args, in_run=in_run)
    with ProgressBar() as progress:
        if in_run:
            _, scores = evaluate_run(args.model, progress.show, same_limits=True)
        else:
            scores, _ = measured(args, progress, only_new=True)
        if args.clean_passed is not None and not scores.presence:
            raise ConfigError(f"{args.model}: has no gate or classifier; leave out --clean-passed")
        progress.show("choosing settings", 0, 0)
        tuned = tune(scores, aim)
    limits = {
        role: choose_presence(found, args.clean_passed)
        for role, found in scores.presence.items()
        if args.clean_passed is not None
    }
    presence = {
        path: limit for role, limit in limits.items() for path in presence_paths(args.model, role)
    }
    cards = write_cards(segmenters_of(args.model), tuned.sweeps, presence)
    if args.json:
        print_json(_document(tuned, scores, limits, cards))
    else:
        _print_tuned(tuned, scores, aim)
        _print_presence(scores, limits)
        sys.stdout.write("".join(f"{card}\n" for card in cards))
    return ExitCode.OK


def _aim(args: argparse.Namespace) -> Aim:
    from stripwatch_train.evaluation.choice import Aim

    if args.aim == "dice":
        return Aim()
    match = re.fullmatch(r"recall@([0-9]+(?:\.[0-9]+)?)(/km)?", args.aim)
    if match is None:
        raise ConfigError(
            f"--aim {args.aim}: give dice, recall@N (at most N false alarms per 1,000 frames) or "
            "recall@N/km, for example recall@5"
        )
    if bool(match[2]) != (args.line_mm is not None):
        raise ConfigError(
            "--line-mm and --aim recall@N/km go together: a rate per km needs the length of a scan "
            "line"
        )
    if args.line_mm is not None and not 0 < args.line_mm < float("inf"):
        raise ConfigError(f"--line-mm {args.line_mm:g}: give the length in mm, above 0")
    return Aim(float(match[1]), args.line_mm)


def _print_tuned(tuned: Tuned, scores: Scores, aim: Aim) -> None:
    table = Table(*HEADS, box=SIMPLE_HEAD, pad_edge=False)
    for choice in tuned.choices:
        own, best = choice.sweep.own, choice.sweep.best
        before, after = choice.before, choice.after
        table.add_row(
            choice.sweep.name,
            f"{own.threshold:g} -> {best.threshold:g}",
            f"{own.min_area_px} -> {best.min_area_px}",
            f"{own.dice:.4f} -> {best.dice:.4f}",
            f"{before.frames_found} -> {after.frames_found} of {after.frames_with}",
            f"{before.false_alarms} -> {after.false_alarms}",
        )
    plain_console().print(table)
    for choice in tuned.choices:
        if choice.remark:
            sys.stdout.write(f"{choice.sweep.name}: {choice.remark}\n")
    frames, lines = len(scores.names), sum(scores.lines)
    false = [sum(entry.before.false_alarms for entry in tuned.choices)]
    false.append(sum(entry.after.false_alarms for entry in tuned.choices))
    rates = [aim.rate(count, frames, lines) for count in false]
    sys.stdout.write(
        f"mean Dice of {frames} validation frames: {tuned.before:.4f} before, {tuned.after:.4f} "
        f"after (finding nothing: {tuned.nothing:.4f})\n"
        f"false alarms per {aim.unit}, all classes: {rates[0]:.2f} before, {rates[1]:.2f} after\n"
    )
    if tuned.elsewhere is not None:
        new = tuned.elsewhere
        found = sum(entry.frames_found for entry in new.outcomes)
        total = sum(entry.frames_with for entry in new.outcomes)
        rate = aim.rate(sum(entry.false_alarms for entry in new.outcomes), frames, lines)
        sys.stdout.write(
            f"each fold with the settings that are best on the others, as on new frames: "
            f"{new.dice:.4f}; found in {found} of {total} frames, {rate:.2f} false alarms per "
            f"{aim.unit}\n"
        )


def _print_presence(scores: Scores, limits: dict[Role, tuple[float, ...]]) -> None:
    from stripwatch_train.evaluation.presence import presence_figures

    if not scores.presence:
        return
    table = Table(*PRESENCE_HEADS, box=SIMPLE_HEAD, pad_edge=False)
    for role, found in scores.presence.items():
        tuned = dataclasses.replace(found, thresholds=limits.get(role, found.thresholds))
        pairs = zip(presence_figures(found), presence_figures(tuned), strict=True)
        for before, after in pairs:
            table.add_row(
                role,
                before.name,
                f"{before.threshold:.4g} -> {after.threshold:.4g}",
                f"{_share(before.sensitivity)} -> {_share(after.sensitivity)}",
                f"{_share(before.specificity)} -> {_share(after.specificity)}",
            )
    plain_console().print(table)
    if limits:
        sys.stdout.write("gates have changed; run tune again for the classes behind them\n")
    else:
        sys.stdout.write(
            "gates and classifiers are unchanged; --clean-passed SHARE chooses their thresholds\n"
        )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _document(
    tuned: Tuned, scores: Scores, limits: dict[Role, tuple[float, ...]], cards: list[Path]
) -> dict[str, object]:
    """The result for --json."""
    return {
        "frames": len(scores.names),
        "mean_dice": {
            "before": tuned.before,
            "after": tuned.after,
            "of_nothing": tuned.nothing,
            "on_new_frames": tuned.elsewhere.dice if tuned.elsewhere else None,
        },
        "classes": [
            {
                "name": entry.sweep.name,
                "before": dataclasses.asdict(entry.sweep.own) | dataclasses.asdict(entry.before),
                "after": dataclasses.asdict(entry.sweep.best) | dataclasses.asdict(entry.after),
                "remark": entry.remark,
            }
            for entry in tuned.choices
        ],
        "presence_thresholds": {str(role): list(limit) for role, limit in limits.items()},
        "cards": [str(card) for card in cards],
    }


def _check_tunable(args: argparse.Namespace, *, in_run: bool) -> None:
    given = [name for name in ("data", "folds", "fold") if getattr(args, name) is not None]
    if in_run and given:
        raise ConfigError(
            f"{args.model}: a training run is tuned on its own validation folds; leave out "
            f"{', '.join(f'--{name}' for name in given)}"
        )
    if not in_run and args.model.is_dir():
        raise ConfigError(
            f"{args.model}: an engine cannot be tuned, its thresholds come from its models' cards; "
            "tune the models and build it again"
        )
    if not in_run and len(given) < 3:
        raise ConfigError(
            f"{args.model}: name the frames that its training left out, with --data, --folds and "
            "--fold: thresholds chosen on frames that a model was trained on are too optimistic"
        )
