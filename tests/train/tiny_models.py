"""Models that make probabilities of grey levels, and data sets and runs to try them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tests import models
from tests.models import convolution, make_card

from stripwatch.engines.manifest import DefectClass
from stripwatch_engine.models.composition import save_composition
from stripwatch_train.data.folds import FoldFile, save_folds
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.samples import Sample
from stripwatch_train.evaluation.engine_runner import Prediction
from stripwatch_train.evaluation.evaluate import Scores
from stripwatch_train.evaluation.score_settings import ScoreSettings
from stripwatch_train.evaluation.scores import score_frame
from stripwatch_train.runs.deployment_files import composition_of
from stripwatch_train.runs.recipe import DeploymentSettings
from stripwatch_train.runs.run_folder import (
    DEPLOYMENT_NAME,
    FOLDS_NAME,
    MemberFile,
    RunFile,
    fold_deployment,
    save_run,
)

Bytes = NDArray[np.uint8]
BRIGHT, DARK = (2.0, -1.0), (-2.0, 1.0)  # probability = gain * grey / 255 + offset
GREY = (1.0, 0.0)
CLEAN = 127  # grey level that is neither bright nor dark: 0.004 of either
CLASSES = (
    DefectClass(id=1, name="bright", threshold=0.5),
    DefectClass(id=2, name="dark", threshold=0.5),
)


def level(probability: float) -> int:
    """The grey level that the bright class gives a probability."""
    return round((probability + 1) / 2 * 255)


def save_model(
    path: Path,
    shape: tuple[int, int],
    classes: Sequence[DefectClass] = CLASSES,
    lines: Sequence[tuple[float, float]] = (BRIGHT, DARK),
    **changes: Any,
) -> Path:
    """Write a model whose planes are a line of the grey level each, and its NAME.json."""
    gains = np.array([gain for gain, _ in lines], np.float32).reshape(-1, 1, 1, 1)
    offsets = np.array([offset for _, offset in lines], np.float32)
    fields: dict[str, Any] = {"mean": 0.0, "std": 1.0, "activation": "none", **changes}
    card = make_card(shape, classes=tuple(classes), **fields)
    model = convolution(shape, gains, offsets)
    if card.activation == "none":  # its planes are probabilities
        model.graph.node[-1].output[0] = "raw"
        limits = {"low": 0.0, "high": 1.0}
        for name, value in limits.items():
            limit = numpy_helper.from_array(np.array(value, np.float32), name)
            model.graph.initializer.append(limit)
        model.graph.node.append(helper.make_node("Clip", ["raw", *limits], ["out"]))
    return models.save_model(path, model, card)


def painted(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Bytes:
    """A clean frame with boxes (x, y, width, height, value) painted in."""
    frame = np.full(shape, CLEAN, np.uint8)
    for x, y, width, height, value in boxes:
        frame[y : y + height, x : x + width] = value
    return frame


def masked(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Bytes:
    """A mask with boxes (x, y, width, height, bits)."""
    mask = np.zeros(shape, np.uint8)
    for x, y, width, height, value in boxes:
        mask[y : y + height, x : x + width] |= np.uint8(value)
    return mask


def write_data(
    folder: Path,
    frames: Mapping[str, tuple[Bytes, Bytes]],
    classes: Sequence[DefectClass] = CLASSES,
) -> Path:
    """A data set of frames and their masks, by file name."""
    images = (
        LabelledImage(name, cv2.imencode(".png", pixels)[1].tobytes(), mask)
        for name, (pixels, mask) in frames.items()
    )
    write_coco(folder, classes, images)
    return folder


def write_run(
    folder: Path,
    data: Path,
    fold_of: Mapping[str, int],
    members: Sequence[MemberFile],
    classes: Sequence[DefectClass] = CLASSES,
) -> Path:
    """A run's folder; each member's model lies there already."""
    names = tuple(entry.name for entry in classes)
    run = RunFile("tiny", str(data), names, "0" * 64, (16, 16), 0.5, 0.25, tuple(members))
    save_run(folder, run)
    folds = 1 + max(fold_of.values())
    save_folds(folder / FOLDS_NAME, FoldFile(max(2, folds), 0, dict(fold_of)))
    wanted = {folder / DEPLOYMENT_NAME: list(members)}
    for fold in {member.fold for member in members}:
        of_fold = [member for member in members if member.fold == fold]
        wanted[fold_deployment(folder, fold)] = of_fold
    for path, chosen in wanted.items():
        save_composition(path, composition_of(DeploymentSettings(), chosen))
    return folder


def scored(
    settings: ScoreSettings,
    frames: Sequence[tuple[Bytes, Bytes]],
    folds: Sequence[int] = (),
    absent: Sequence[Sequence[bool]] = (),
) -> Scores:
    """The scores of frames of which prob [classes, lines, pixels] and mask are given."""
    scores = Scores(settings)
    for index, (prob, truth) in enumerate(frames):
        gone = np.array(absent[index] if absent else [False] * len(prob))
        frame = score_frame(Prediction(prob, gone), truth, settings)
        name = f"{index:03}.png"
        fold = folds[index] if folds else 0
        scores.add(Sample(name, Path(name), None), fold, truth, frame)
    return scores
