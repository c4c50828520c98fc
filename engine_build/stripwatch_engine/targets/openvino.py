"""Target openvino: the inspection graph as OpenVINO IR, for CPUs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.engines.base import presence_thresholds
from stripwatch.engines.openvino import shared_core
from stripwatch.errors import ModelError, StorageError
from stripwatch.service.console import Progress
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.operators import failed_node, lacking_operator, plain_reason
from stripwatch_engine.precision.int8 import quantize_openvino
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.base import BuildInputs, Built, refuse_flags

STEM = "inspection"
FILES = (f"{STEM}.xml", f"{STEM}.bin")
MODEL_TAGS = r"(model|gate|classifier)\d+/"  # prefixes of the operators that belong to a model


def check_settings(settings: BuildSettings, timing_cache: Path | None) -> None:
    """Refuse flags of other targets.

    Raises:
        ConfigError: the message names the flag.
    """
    refuse_flags(settings, timing_cache, allowed=())


def calibration_count(settings: BuildSettings) -> int:
    """Number of frames to calibrate on; 0 = none."""
    return settings.calibration_frames if settings.precision == "int8" else 0


def build(inputs: BuildInputs) -> Built:
    """Write the inspection graph into the draft folder.

    Raises:
        ConfigError: NNCF is missing.
        ModelError: OpenVINO cannot take the graph, or NNCF cannot quantize it.
        StorageError: the files cannot be written.
    """
    graph = compose_inspection_graph(inputs.deployment, bytes_early=True)
    inputs.progress("building", 0, 0)
    builder = write_openvino(
        graph,
        inputs.deployment,
        inputs.settings,
        inputs.calibration_frames,
        inputs.draft,
        inputs.progress,
    )
    return Built(files=FILES, builder=builder)


def write_openvino(
    graph: onnx.ModelProto,
    deployment: Deployment,
    settings: BuildSettings,
    calibration: NDArray[np.uint8] | None,
    folder: Path,
    progress: Progress = lambda *_: None,
) -> str:
    """Write the graph into a folder; return name and version of the builder.

    The batch size is fixed to 1: the daemon runs one request per frame (ADR 1). In `fp16` the
    weights are stored as float16; the daemon computes in float32 on every CPU.

    Args:
        graph: the inspection graph in float32.
        deployment: the models in it.
        settings: of the build.
        calibration: frames for int8, uint8 [n, lines, pixels]; None = do not quantize.
        folder: to write FILES into.
        progress: called for each calibration frame.

    Raises:
        ModelError: OpenVINO cannot take the graph.
        ConfigError: NNCF is missing.
        StorageError: the files cannot be written.
    """
    import openvino

    try:
        model = shared_core().read_model(graph.SerializeToString())
        model.reshape({"frames": [1, *settings.frame_shape]})
    except RuntimeError as error:
        text = str(error)
        node = failed_node(text)
        at = f" at {node}" if node else ""
        raise ModelError(
            lacking_operator("OpenVINO", text, graph)
            or f"OpenVINO cannot take this model{at}: {plain_reason(text)}; replace the operator "
            "in the model, or export it with another opset"
        ) from error
    if calibration is not None:
        _number_nameless(model)  # NNCF stores the names of the operators that it left as they are
        model = quantize_openvino(
            model, calibration, _extra_inputs(deployment), _outside(model), progress
        )
    _number_nameless(model)
    try:
        is_half = settings.precision == "fp16"
        openvino.save_model(model, str(folder / FILES[0]), compress_to_fp16=is_half)
    except RuntimeError as error:
        raise StorageError(f"cannot write to {folder.parent}; is the disk full?") from error
    return f"openvino {openvino.__version__.partition('-')[0]}"


def _extra_inputs(deployment: Deployment) -> dict[str, NDArray[np.float32]]:
    """Inputs of the graph besides the frames, for calibration."""
    inputs = {"thresholds": np.array([entry.threshold for entry in deployment.classes], np.float32)}
    if deployment.gate:
        # No class is absent: every part of the graph is measured.
        count = len(deployment.classes)
        inputs["presence_thresholds"] = np.zeros_like(presence_thresholds(deployment.gate, count))
    return inputs


def _outside(model: Any) -> set[str]:  # noqa: ANN401 - openvino carries no types
    """Names of the operators that belong to no trained model."""
    names = {node.get_friendly_name() for node in model.get_ordered_ops()}
    return {name for name in names if not re.match(MODEL_TAGS, name)}


def _number_nameless(model: Any) -> None:  # noqa: ANN401 - openvino carries no types
    """Number nameless nodes by their order in the graph.

    OpenVINO numbers them by a counter of the process, but the same model must give the same bytes:
    their hash names the engine.
    """
    for number, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(r"[A-Za-z]+_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
