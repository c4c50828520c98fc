"""Predictions of a model written as labels: to inspect, to correct, to train on.

**Labels** are the project's folder (images and COCO labels) with the defects that the line would
report: a labelling tool opens them, training reads them as pseudo-labels.

**Soft labels** are the probabilities themselves, for a student to learn from: `soft/NAME.png` for
each frame, grey, the planes of the classes below each other, probability * 255.

**Confident frames.** A wrong pseudo-label trains an error, so that frames in doubt are better left
out. A frame is in doubt when a defect is found with a mean probability below `Doubt.sure`, or
when a component of its class's minimum area reaches `Doubt.maybe` and nothing is found in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.errors import ConfigError, StorageError
from stripwatch.inspect.defects import classes_of_frame, find_defects, raise_min_areas
from stripwatch.inspect.findings import Finding
from stripwatch.service.console import Progress
from stripwatch_train.data.data_set import LABEL_STUDIO, open_data_set
from stripwatch_train.data.formats.coco_records import ANNOTATIONS
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.formats.mask_folder import MASK_FOLDERS, has_class_folders
from stripwatch_train.data.formats.severstal import TABLE
from stripwatch_train.data.images import image_files, image_shape, load_image
from stripwatch_train.data.samples import Sample, image_name, soft_path
from stripwatch_train.evaluation.engine_runner import Prediction
from stripwatch_train.evaluation.predictor import Predictor
from stripwatch_train.evaluation.score_settings import level_of
from stripwatch_train.evaluation.scores import Bytes

EVERY_COMPONENT = 1 << 30  # no limit: components are never joined because there are too many


@dataclass(frozen=True)
class Doubt:
    """Mean probabilities between which a frame is in doubt; see the module."""

    maybe: float
    sure: float


@dataclass
class Written:
    """Counts of a prediction."""

    frames: int = 0
    doubtful: int = 0  # left out
    clean: int = 0  # without any defect
    defects: Counter[str] = field(default_factory=Counter)  # by class


def images_at(path: Path, classes: Sequence[str] | None = None) -> tuple[Sample, ...]:
    """The images of a data set, in any layout, or of a plain folder; labels play no part.

    Raises:
        ConfigError: there are none, or the data set breaks a rule.
    """
    labels = (ANNOTATIONS, *LABEL_STUDIO, *MASK_FOLDERS, TABLE)
    if path.is_file() or has_class_folders(path) or any((path / name).exists() for name in labels):
        return open_data_set(path, classes).samples
    if not path.is_dir():
        raise ConfigError(f"{path}: is neither a folder of images nor a data set")
    return tuple(
        Sample(image.relative_to(path).as_posix(), image, None) for image in image_files(path)
    )


def predict(
    predictor: Predictor,
    samples: Sequence[Sample],
    folder: Path,
    *,
    soft: bool = False,
    doubt: Doubt | None = None,
    progress: Progress = lambda *_: None,
) -> Written:
    """Write the predictions of a model as images and COCO labels.

    Args:
        predictor: the model.
        samples: the images.
        folder: to write, new or empty.
        soft: write the probabilities, too.
        doubt: leave out frames in doubt; None = write all.
        progress: called after each frame.

    Raises:
        ConfigError: an image cannot be used, two would have one name, the folder is not empty.
        ModelError: the model cannot be run.
        DeviceError: its device is missing or fails.
        StorageError: the folder cannot be written.
    """
    _check_names(samples)
    written = Written()
    # By size, as each size needs its own engine.
    ordered = sorted(samples, key=lambda sample: image_shape(sample.image))

    def labelled() -> Iterator[LabelledImage]:
        frames = (load_image(sample) for sample in ordered)
        predictions = predictor.predictions(frames)
        for done, (sample, prediction) in enumerate(zip(ordered, predictions, strict=True), 1):
            progress(f"frames of {predictor.name}", done, len(ordered))
            found = findings(prediction, predictor.classes, predictor.gate)
            if doubt and in_doubt(prediction, predictor.classes, predictor.gate, found, doubt):
                written.doubtful += 1
                continue
            if soft:
                _write_soft(soft_path(folder, sample), prediction.prob)
            written.frames += 1
            written.clean += not found
            written.defects.update(finding.defect_class.name for finding in found)
            lines, pixels = prediction.prob.shape[1:]
            mask = mask_of(found, (lines, pixels))
            yield LabelledImage(image_name(sample), sample.image.read_bytes(), mask, sample.group)

    write_coco(folder, predictor.classes, labelled())
    return written


def findings(
    prediction: Prediction, classes: Sequence[DefectClass], gate: Gate | None
) -> list[Finding]:
    """Defects that the line would report in a frame."""
    levels = np.array([level_of(entry.threshold) for entry in classes], np.uint8)
    there = prediction.prob >= levels[:, np.newaxis, np.newaxis]
    area = there.sum(axis=(1, 2)).astype(np.float32)
    mask = np.zeros(there.shape[1:], np.uint8)
    for entry, plane in zip(classes, there, strict=True):
        mask |= plane * np.uint8(entry.bit)
    raised = raise_min_areas(classes, gate)
    in_frame = classes_of_frame(classes, raised, prediction.absent.astype(np.uint8))
    return find_defects(mask, prediction.prob, area, in_frame, EVERY_COMPONENT)


def in_doubt(
    prediction: Prediction,
    classes: Sequence[DefectClass],
    gate: Gate | None,
    found: Sequence[Finding],
    doubt: Doubt,
) -> bool:
    """Whether the prediction of a frame is uncertain; see the module."""
    if any(finding.score < doubt.sure for finding in found):
        return True
    lower = tuple(
        msgspec.structs.replace(entry, threshold=min(entry.threshold, doubt.maybe))
        for entry in classes
    )
    lines, pixels = prediction.prob.shape[1:]
    mask = mask_of(found, (lines, pixels))
    for finding in findings(prediction, lower, gate):
        bit = finding.defect_class.bit
        if not (mask_of([finding], (lines, pixels)) & mask & bit).any():
            return True
    return False


def mask_of(found: Sequence[Finding], shape: tuple[int, int]) -> Bytes:
    """The masks of findings, uint8 [lines, pixels] with bit c-1 set where class c is."""
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    for finding in found:
        bit = finding.defect_class.bit
        starts, lengths = finding.runs.starts.tolist(), finding.runs.lengths.tolist()
        for start, length in zip(starts, lengths, strict=True):
            flat[start : start + length] |= bit
    return np.ascontiguousarray(flat.reshape(shape[1], shape[0]).T)


def _check_names(samples: Sequence[Sample]) -> None:
    name_of: dict[Path, str] = {}
    for sample in samples:
        other = name_of.setdefault(soft_path(Path(), sample), sample.name)
        if other != sample.name:
            raise ConfigError(
                f"{sample.image}: {other} and {sample.name} differ after the last dot only; rename "
                "one of them"
            )


def _write_soft(path: Path, prob: Bytes) -> None:
    classes, lines, pixels = prob.shape
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(prob.reshape(classes * lines, pixels)).save(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
