"""Predictions of the MODEL of evaluate, tune, predict and submit.

What is evaluated is what is deployed (ADR 14). Models are composed by engine-build's own parts
into an inspection graph, which runs in the daemon's own OpenVINO engine in float32; an engine
folder is loaded as the daemon loads it. Gates and classifiers run as on the line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import MANIFEST_NAME, DefectClass, Gate, Manifest, load_manifest
from stripwatch.errors import ConfigError
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition, load_composition
from stripwatch_engine.models.deployment import load_deployment
from stripwatch_engine.models.model_card import card_path
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.openvino import FILES, write_openvino
from stripwatch_train.evaluation.engine_runner import (
    EngineRunner,
    Frame,
    Prediction,
    Shape,
)
from stripwatch_train.evaluation.presence import PresenceModels, presence_models
from stripwatch_train.runs.run_folder import DEPLOYMENT_NAME, is_run

RUNNERS_MAX = 4  # one for each size of frames; the oldest is closed when there are more
ROWS_MAX = 16  # frames in a batch; bounds memory on machines with many cores
EVERY_MODEL_TAKES = (1, 1)  # any frame shape: models are only inspected with it


class Predictor:
    """A model, ready for frames; use it in a `with` block, or close it."""

    def __init__(
        self,
        name: str,
        classes: tuple[DefectClass, ...],
        gate: Gate | None,
        make_runner: Callable[[Shape], EngineRunner],
        *,
        has_background: bool,
        presence: Sequence[PresenceModels] = (),
    ) -> None:
        """Keep the parts; `open_predictor` makes them.

        Args:
            name: for reading.
            classes: in order of their ids, with the thresholds and minimum areas of the line.
            gate: classifies classes as absent.
            make_runner: makes the engine for frames of a shape.
            has_background: the probabilities of the classes and of the background sum up to 1.
            presence: the gates and classifiers alone; none of an engine, which gives decisions.
        """
        self.name = name
        self.classes = classes
        self.gate = gate
        self.has_background = has_background
        self.presence = presence
        self._make_runner = make_runner
        self._runners: dict[Shape, EngineRunner] = {}

    def predictions(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Predictions of the frames, in order.

        Frames are read ahead, so that several are computed in parallel. Frames of one size should
        follow each other: each size needs its own engine.

        Raises:
            ConfigError: an engine takes frames of another size.
            ModelError: the model cannot be run on frames of this size.
            DeviceError: its device is missing or fails.
            StorageError: there is no room for the temporary engine.
        """
        skips = self.gate is not None and self.gate.mode == "skip"
        for shape, group in groupby(frames, key=lambda frame: (frame.shape[0], frame.shape[1])):
            for prediction in self._runner(shape).run(group):
                if skips and prediction.absent.any():
                    prediction.prob[prediction.absent] = 0
                yield prediction

    def close(self) -> None:
        """Free all engines."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def __enter__(self) -> Predictor:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _runner(self, shape: Shape) -> EngineRunner:
        if shape not in self._runners:
            if len(self._runners) == RUNNERS_MAX:
                self._runners.pop(next(iter(self._runners))).close()
            self._runners[shape] = self._make_runner(shape)
        return self._runners[shape]


def open_predictor(model: Path) -> Predictor:
    """Open a model.

    Args:
        model: an ONNX file with its model.json, a composition file as engine-build takes it, an
            engine folder, or the folder of a training run: that is its deployment.toml.

    Raises:
        ConfigError: it is none of these, or its composition breaks a rule.
        ModelError: a model, its card or its engine cannot be used.
    """
    if model.is_dir() and is_run(model):
        return _of_composition(str(model), load_composition(model / DEPLOYMENT_NAME))
    if model.is_dir() and (model / MANIFEST_NAME).is_file():
        return _of_engine(model)
    if model.suffix.lower() == ".toml":
        return _of_composition(str(model), load_composition(model))
    if model.suffix.lower() == ".onnx":
        return _of_composition(str(model), Composition(models=(str(model),)))
    raise ConfigError(
        f"{model}: is no model; name an .onnx with its model.json, a .toml that lists which models "
        "go together, an engine folder, or the folder of a training run"
    )


def _of_engine(folder: Path) -> Predictor:
    manifest = load_manifest(folder)
    factory = engine_factory(folder, manifest)

    def make_runner(shape: Shape) -> EngineRunner:
        if shape != manifest.frame_shape:
            lines, pixels = manifest.frame_shape
            raise ConfigError(
                f"{folder}: this engine takes frames of {lines} x {pixels} (lines x pixels), and "
                f"one is {shape[0]} x {shape[1]}; name the models that it was built of, or build "
                f"one with: engine-build --frame {shape[0]}x{shape[1]}"
            )
        fewest, most = manifest.batch or (1, _rows())
        rows = max(fewest, min(most, ROWS_MAX))
        return EngineRunner(factory, shape, rows, len(manifest.classes))

    # The manifest does not record whether there is a background channel.
    return Predictor(
        str(folder), manifest.classes, manifest.gate, make_runner, has_background=False
    )


def _of_composition(name: str, composition: Composition) -> Predictor:
    for path in map(Path, composition.paths()):
        if path.is_file() and not card_path(path).is_file():
            raise ConfigError(
                f"{path}: has no model.json; put the one that belongs to it beside it"
            )
    deployment = load_deployment(composition, EVERY_MODEL_TAKES)
    classes, gate = deployment.classes, deployment.gate

    def make_runner(shape: Shape) -> EngineRunner:
        with TemporaryDirectory(prefix="stripwatch-") as folder:
            sized = load_deployment(composition, shape)
            graph = compose_inspection_graph(sized, bytes_early=True)
            settings = BuildSettings(composition=composition, frame_shape=shape)
            builder = write_openvino(graph, sized, settings, None, Path(folder))
            manifest = Manifest(
                target="openvino",
                engine_hash="",
                builder=builder,
                precision="fp32",
                frame_shape=shape,
                classes=classes,
                files=FILES,
                gate=gate,
            )
            return EngineRunner(
                engine_factory(Path(folder), manifest), shape, _rows(), len(classes)
            )

    has_background = all(
        member.card.activation == "softmax" and member.card.background and member.class_id is None
        for member in deployment.segmenters
    )
    return Predictor(
        name,
        classes,
        gate,
        make_runner,
        has_background=has_background,
        presence=presence_models(composition),
    )


def _rows() -> int:
    """Frames in a batch of the CPU: a batch is computed and another waits on every core."""
    return min(os.cpu_count() or 1, ROWS_MAX)
