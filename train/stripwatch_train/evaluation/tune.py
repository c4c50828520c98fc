"""Choice of thresholds and minimum areas on frames that the models were not trained on.

Thresholds of gates and classifiers are chosen in `presence`: they trade missed frames against
computing time, which Dice does not measure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError, StorageError
from stripwatch.files import draft_path, write_whole
from stripwatch_engine.models.model_card import ModelCard, card_path, load_card
from stripwatch_train.evaluation.choice import Aim, Choice, Outcome, choose, outcome_of
from stripwatch_train.evaluation.class_table import ClassTable
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.presence import PresenceScores, threshold_for
from stripwatch_train.evaluation.statistics import Reals
from stripwatch_train.evaluation.sweep import Sweep
from stripwatch_train.runs.run_models import (
    Segmenter,
)

KAGGLE = Aim()


@dataclass(frozen=True)
class Elsewhere:
    """Each fold measured with the settings that are best on the others: expected on new frames."""

    dice: float  # mean over all pairs of a frame and a class
    outcomes: tuple[Outcome, ...]  # by class


@dataclass(frozen=True)
class Tuned:
    """Result of tuning."""

    choices: tuple[Choice, ...]  # by class
    before: float  # mean Dice over all pairs of a frame and a class
    after: float
    nothing: float  # the mean Dice of finding nothing
    elsewhere: Elsewhere | None  # None with one fold only

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """The sweep of each class; its `best` is the chosen setting."""
        return tuple(entry.sweep for entry in self.choices)


def tune(scores: Scores, aim: Aim = KAGGLE) -> Tuned:
    """Choose the settings of each class from the scores of validation frames."""
    tables = [ClassTable(scores, index) for index in range(len(scores.settings.classes))]
    choices = tuple(choose(table, aim) for table in tables)
    before = float(np.mean([entry.sweep.own.dice for entry in choices]))
    after = float(np.mean([entry.sweep.best.dice for entry in choices]))
    nothing = float((scores.true_px == 0).mean())
    return Tuned(choices, before, after, nothing, elsewhere(scores, aim))


def elsewhere(scores: Scores, aim: Aim = KAGGLE) -> Elsewhere | None:
    """Measure each fold with the settings that are best on the others.

    None where there is one fold only.
    """
    folds = np.array(scores.folds)
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return None
    values: list[Reals] = []
    outcomes: list[Outcome] = []
    for index in range(len(scores.settings.classes)):
        table = ClassTable(scores, index)
        parts: list[Outcome] = []
        for fold in numbers:
            chosen = choose(table, aim, folds != fold).sweep.best
            step = table.thresholds.index(chosen.threshold)
            values.append(table.dice(step, chosen.min_area_px)[folds == fold])
            parts.append(outcome_of(table, step, chosen.min_area_px, folds == fold))
        outcomes.append(
            Outcome(
                sum(part.frames_with for part in parts),
                sum(part.frames_found for part in parts),
                sum(part.false_alarms for part in parts),
            )
        )
    return Elsewhere(float(np.concatenate(values).mean()), tuple(outcomes))


def choose_presence(scores: PresenceScores, clean_passed: float) -> tuple[float, ...]:
    """Thresholds of gates or classifiers that pass a share of the frames without a class.

    Where there are no frames with a class, or none without, its threshold is kept.
    """
    chosen = []
    for index, now in enumerate(scores.thresholds):
        probability, true = scores.column(index)
        found = threshold_for(probability, true, now, clean_passed)
        chosen.append(now if found is None else found)
    return tuple(chosen)


def write_cards(
    segmenters: Sequence[Segmenter],
    sweeps: Sequence[Sweep],
    presence: Mapping[Path, Sequence[float]] = MappingProxyType({}),
) -> list[Path]:
    """Write the best settings into the models' cards; returns the paths of the cards.

    Args:
        segmenters: models that get the settings of the sweeps.
        sweeps: by class; `best` is written.
        presence: thresholds of the outputs of gates and classifiers, by path of the model.

    All are written beside the old ones before the first takes its place.

    Raises:
        ModelError: a card cannot be read, or has none of the classes that its model is for.
        StorageError: a card cannot be written; then none has changed, unless the disk failed
            between two renames.
    """
    cards = {card_path(entry.path): _tuned_card(entry, sweeps) for entry in segmenters}
    cards |= {card_path(path): _presence_card(path, limits) for path, limits in presence.items()}
    drafts = {path: draft_path(path) for path in cards}
    try:
        for path, data in cards.items():
            write_whole(drafts[path], data)
        for path, draft in drafts.items():
            draft.replace(path)
    except OSError as error:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    return list(cards)


def _presence_card(path: Path, thresholds: Sequence[float]) -> bytes:
    card = load_card(path)
    classes = tuple(
        msgspec.structs.replace(entry, threshold=threshold)
        for entry, threshold in zip(card.classes, thresholds, strict=True)
    )
    return _encoded(msgspec.structs.replace(card, classes=classes))


def _encoded(card: ModelCard) -> bytes:
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def _tuned_card(segmenter: Segmenter, sweeps: Sequence[Sweep]) -> bytes:
    card = load_card(segmenter.path)
    number = segmenter.class_id
    best = {
        entry.name: entry.best
        for index, entry in enumerate(sweeps, 1)
        if number is None or number == index
    }
    if not any(entry.name in best for entry in card.classes):
        raise ModelError(
            f"{card_path(segmenter.path)}: has none of the classes {', '.join(best)}; correct the "
            "names in it"
        )

    def tuned(entry: DefectClass) -> DefectClass:
        if entry.name not in best:
            return entry
        point = best[entry.name]
        return msgspec.structs.replace(
            entry, threshold=point.threshold, min_area_px=point.min_area_px
        )

    return _encoded(msgspec.structs.replace(card, classes=tuple(map(tuned, card.classes))))
