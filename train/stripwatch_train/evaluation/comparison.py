"""Comparison of two evaluations of the same frames."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError
from stripwatch_train.evaluation.frame_table import FRAMES_NAME
from stripwatch_train.evaluation.metrics import Metrics
from stripwatch_train.runs.run_folder import is_run

METRICS_NAME = "metrics.json"
REPORT_FOLDER = "evaluation"  # inside a run
HEAD = ("figure", "first", "second", "difference")
CLASS_FIGURES = {
    "kaggle_dice": "Kaggle's Dice",
    "dice_of_frames_with": "Dice of frames with it",
    "iou_px": "IoU",
    "recall": "recall of defects",
    "precision": "precision of components",
    "frames_missed": "frames missed",
    "frames_false": "frames reported in error",
}


@dataclass(frozen=True)
class Report:
    """An evaluation as it lies in its folder."""

    folder: Path
    metrics: Metrics
    dice: dict[tuple[str, str], float]  # by frame and class


class Figure(msgspec.Struct, frozen=True):
    """One figure of both models; None = undefined."""

    name: str
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """Second minus first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """Two evaluations and their figures side by side."""

    first: Report
    second: Report
    figures: list[Figure]
    frames: list[tuple[str, float, float]]  # mean Dice of both, the largest difference first


def load_report(folder: Path) -> Report:
    """Read the evaluation in a folder, or in a training run.

    Raises:
        ConfigError: there is none, or it is of an older version.
    """
    place = folder / REPORT_FOLDER if is_run(folder) else folder
    path, table = place / METRICS_NAME, place / FRAMES_NAME
    try:
        metrics = msgspec.json.decode(path.read_bytes(), type=Metrics)
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        dice = {(row["frame"], row["class"]): float(row["dice"]) for row in rows}
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: cannot be read: {error.strerror}; `stripwatch-train evaluate` "
            "writes it"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{place}: is not an evaluation of this version ({error}); run `stripwatch-train "
            "evaluate` again"
        ) from None
    return Report(folder, metrics, dice)


def compare(first: Report, second: Report) -> Comparison:
    """Compare two evaluations.

    Raises:
        ConfigError: they are of other frames or other classes.
    """
    names = [[entry.name for entry in report.metrics.classes] for report in (first, second)]
    if names[0] != names[1]:
        raise ConfigError(
            f"{first.folder} has the classes {', '.join(names[0])}, {second.folder} "
            f"{', '.join(names[1])}; only models of the same classes can be compared"
        )
    differing = first.dice.keys() ^ second.dice.keys()
    if differing:
        frames = sorted({frame for frame, _ in differing})
        raise ConfigError(
            f"{first.folder} and {second.folder} were measured on different frames: {len(frames)} "
            f"are in one of them only (the first: {frames[0]}); evaluate both with the same --data"
        )
    return Comparison(first, second, list(_figures(first, second)), _frames(first, second))


def difference_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Rows for reading: figure, first, second, difference."""
    return [
        (figure.name, _text(figure.first), _text(figure.second), _text(figure.difference, "+"))
        for figure in comparison.figures
    ]


def _figures(first: Report, second: Report) -> Iterator[Figure]:
    one, two = first.metrics, second.metrics
    yield Figure("Kaggle's mean Dice", one.kaggle_dice, two.kaggle_dice)
    floors = (one.kaggle_dice_of_nothing, two.kaggle_dice_of_nothing)
    yield Figure("the same of finding nothing", *floors)
    yield Figure("mIoU", one.miou, two.miou)
    yield Figure("frames missed", one.frames_missed, two.frames_missed)
    yield Figure("frames reported in error", one.frames_false, two.frames_false)
    for mine, other in zip(one.classes, two.classes, strict=True):
        for key, words in CLASS_FIGURES.items():
            yield Figure(f"{mine.name}: {words}", getattr(mine, key), getattr(other, key))
        yield Figure(
            f"{mine.name}: F1 of pixels", one.f1_px.get(mine.name), two.f1_px.get(mine.name)
        )


def _frames(first: Report, second: Report) -> list[tuple[str, float, float]]:
    classes = len(first.metrics.classes)
    sums: dict[str, list[float]] = {}
    for (frame, name), value in first.dice.items():
        entry = sums.setdefault(frame, [0.0, 0.0])
        entry[0] += value / classes
        entry[1] += second.dice[frame, name] / classes
    rows = [(frame, values[0], values[1]) for frame, values in sums.items()]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))


def _text(value: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}d}" if isinstance(value, int) else f"{value:{sign}.4f}"
