"""From clean frames to a model of the one class `unknown`, in three passes over the frames.

1. Training frames: mean of each column and line, and the covariance (`normal.Moments`).
2. Training frames again: how far each column's places lie from its mean (`normal.Scales`).
3. Held-out frames: the limit that gives the wanted rate of false alarms (`alarms.choose_limit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import torch
from torch import Tensor

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import Progress
from stripwatch_engine.models.composition import Composition, save_composition
from stripwatch_engine.models.model_card import ModelCard, ModelInput, save_card
from stripwatch_train.clean.alarms import Distances, Limit, choose_limit, probabilities
from stripwatch_train.clean.flaws import Bytes, Marked, with_flaw
from stripwatch_train.clean.frames import (
    MEAN,
    STD,
    CleanFrames,
    find_clean_frames,
    load_input,
    network_input,
)
from stripwatch_train.clean.network import CELL_PX, CleanNetwork, Distance, pretrained_encoder
from stripwatch_train.clean.normal import Moments, Scales
from stripwatch_train.data.images import load_image
from stripwatch_train.data.samples import Sample
from stripwatch_train.fitting.export import compare_onnx, write_onnx
from stripwatch_train.runs.run_folder import DEPLOYMENT_NAME, MODEL_NAME

UNKNOWN = DefectClass(id=1, name="unknown", threshold=0.5)
REPORT_NAME = "clean.json"
FLAWS_FOLDER = "verification"
FLAWS = 24  # painted; as many frames as engine-build verifies on, and some to spare
TRAINING_MAX = 1000  # frames learned from, spread over those there are: more add nothing
UNUSUAL = 5  # held-out frames that are named


@dataclass(frozen=True, slots=True)
class CleanSettings:
    """What is asked for."""

    data: Path
    output: Path
    line_mm: float  # length of a scan line along the strip
    per_100_m: float  # false alarms wanted at most
    classes: tuple[str, ...] | None = None  # of a data set with labels
    command: str = ""  # for the card


class CleanReport(msgspec.Struct, frozen=True):
    """`clean.json`: what was learned from, and what the threshold is worth."""

    frame_shape: tuple[int, int]
    training_frames: int
    held_out_frames: int
    held_out_metres: float
    wanted_per_100_m: float
    alarms: int  # in the held-out frames
    per_100_m: float
    low_per_100_m: float  # the rate lies between these with a certainty of 95 %
    high_per_100_m: float
    flaws_painted: int
    flaws_found: int
    unusual: tuple[str, ...]  # held-out frames, the most unusual first
    findings: tuple[str, ...] = ()  # about the data


def fit_clean(settings: CleanSettings, progress: Progress = lambda *_: None) -> CleanReport:
    """Learn from clean frames; write model.onnx, model.json, deployment.toml and clean.json.

    Raises:
        ConfigError: the frames cannot be used, or the encoder's package is missing.
        ModelError: the ONNX file computes something else than PyTorch.
        StorageError: the output cannot be written.
    """
    encoder = pretrained_encoder()
    frames = find_clean_frames(settings.data, settings.classes, progress)
    picked = np.linspace(0, len(frames.training) - 1, min(len(frames.training), TRAINING_MAX))
    training = [frames.training[index] for index in picked.astype(int)]
    lines, pixels = (side // CELL_PX for side in frames.image_shape)

    moments = Moments(encoder.features, (lines, pixels))
    for image in _images(training, frames, progress, "learning"):
        moments.add(encoder(image)[0].numpy())
    distance = Distance(moments.normal())

    scales = Scales((lines, pixels))
    for image in _images(training, frames, progress, "measuring distances"):
        scales.add(distance(encoder(image))[0, 0].numpy())
    scale = scales.scale()

    def distances(image: Tensor) -> Distances:
        with torch.no_grad():
            squares = distance(encoder(image))[0, 0].numpy()
        return np.asarray(np.sqrt(squares / scale), np.float32)

    found = [
        distances(image)
        for image in _images(frames.held_out, frames, progress, "choosing the threshold")
    ]
    metres = len(found) * frames.shape[0] * settings.line_mm / 1000
    limit = choose_limit(found, frames.image_shape, metres, settings.per_100_m)
    network = CleanNetwork(encoder, distance, scale, limit.distance, limit.steepness)
    with _written(settings.output):
        flaws = _write_flaws(settings.output / FLAWS_FOLDER, frames)
        hits = sum(
            _is_hit(distances(network_input(painted, frames)), where, frames, limit)
            for painted, where in flaws
        )
        report = _report(settings, frames, len(training), found, limit, (len(flaws), hits))
        _write_model(settings, frames, network.eval(), report)
    return report


def _images(
    samples: Sequence[Sample], frames: CleanFrames, progress: Progress, what: str
) -> Iterator[Tensor]:
    with torch.no_grad():
        for done, sample in enumerate(samples):
            progress(what, done, len(samples))
            yield load_input(sample, frames)


def _write_flaws(folder: Path, frames: CleanFrames) -> list[tuple[Bytes, Marked]]:
    """Write held-out frames with painted flaws, and return them."""
    folder.mkdir()
    done = []
    for number in range(FLAWS):
        sample = frames.held_out[number % len(frames.held_out)]
        painted, where = with_flaw(load_image(sample), number)
        write_whole(folder / f"{number:02}.png", cv2.imencode(".png", painted)[1].tobytes())
        done.append((painted, where))
    return done


def _is_hit(found: Distances, where: Marked, frames: CleanFrames, limit: Limit) -> bool:
    plane = probabilities(found, frames.image_shape, limit.distance, limit.steepness)
    lines, pixels = frames.shape
    return bool((plane[:lines, :pixels][where] >= UNKNOWN.threshold).any())


def _report(
    settings: CleanSettings,
    frames: CleanFrames,
    training: int,
    found: Sequence[Distances],
    limit: Limit,
    flaws: tuple[int, int],
) -> CleanReport:
    order = np.argsort([-one.max() for one in found])[:UNUSUAL]
    return CleanReport(
        frame_shape=frames.shape,
        training_frames=training,
        held_out_frames=len(found),
        held_out_metres=round(limit.metres, 3),
        wanted_per_100_m=settings.per_100_m,
        alarms=limit.alarms,
        per_100_m=round(limit.per_100_m, 3),
        low_per_100_m=round(limit.low_per_100_m, 3),
        high_per_100_m=round(limit.high_per_100_m, 3),
        flaws_painted=flaws[0],
        flaws_found=flaws[1],
        unusual=tuple(frames.held_out[index].name for index in order),
        findings=frames.findings,
    )


def _write_model(
    settings: CleanSettings, frames: CleanFrames, network: CleanNetwork, report: CleanReport
) -> None:
    folder = settings.output
    height, width = frames.image_shape
    card = ModelCard(
        input=ModelInput(channels=1, height=height, width=width, fit="pad"),
        mean=MEAN,
        std=STD,
        activation="sigmoid",
        classes=(UNKNOWN,),
        metrics={"false_alarms_per_100_m": report.per_100_m},
        data=f"{settings.data.resolve().name}, {report.training_frames} clean frames",
        command=settings.command,
    )
    path = folder / MODEL_NAME
    write_onnx(network, frames.image_shape, path)
    some = torch.cat([load_input(sample, frames) for sample in frames.held_out[:3]])
    compare_onnx(network, path, some)
    save_card(path, card)
    save_composition(
        folder / DEPLOYMENT_NAME, Composition(models=(MODEL_NAME,), frames=FLAWS_FOLDER)
    )
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    write_whole(folder / REPORT_NAME, text + b"\n")


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
