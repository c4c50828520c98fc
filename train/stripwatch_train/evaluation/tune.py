"""Choice of thresholds and minimum areas on frames that the models were not trained on.

Only segmentation models are tuned. Gates and classifiers keep their thresholds: these trade missed
frames against computing time, which Dice does not measure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError, StorageError
from stripwatch.files import draft_path, write_whole
from stripwatch_engine.models.model_card import card_path, load_card
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.sweep import Sweep, dice_elsewhere, sweep_all
from stripwatch_train.runs.run_models import (
    Segmenter,
)


@dataclass(frozen=True)
class Tuned:
    """Result of tuning."""

    sweeps: tuple[Sweep, ...]  # by class
    before: float  # mean Dice over all pairs of a frame and a class
    after: float
    # Each fold measured with the settings that are best on the others; None with one fold only.
    elsewhere: float | None


def tune(scores: Scores) -> Tuned:
    """Choose the settings from the scores of validation frames."""
    sweeps = tuple(sweep_all(scores))
    before = float(np.mean([entry.own.dice for entry in sweeps]))
    after = float(np.mean([entry.best.dice for entry in sweeps]))
    return Tuned(sweeps, before, after, dice_elsewhere(scores))


def write_cards(segmenters: Sequence[Segmenter], sweeps: Sequence[Sweep]) -> list[Path]:
    """Write the best settings into the models' cards; returns the paths of the cards.

    All are written beside the old ones before the first takes its place.

    Raises:
        ModelError: a card cannot be read, or has none of the classes that its model is for.
        StorageError: a card cannot be written; then none has changed, unless the disk failed
            between two renames.
    """
    cards = {card_path(entry.path): _tuned_card(entry, sweeps) for entry in segmenters}
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

    changed = msgspec.structs.replace(card, classes=tuple(map(tuned, card.classes)))
    return msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n"
